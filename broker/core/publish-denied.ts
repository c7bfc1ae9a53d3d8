// A message that its client may not publish: it is taken, and nobody gets it.

/**
 * What a hook calls back with where a client may not publish a message, but may stay. MQTT 5 says so in the
 * acknowledgement; before, a message can only be acknowledged and dropped. Any other error closes the connection of a
 * client before MQTT 5, as Aedes has it.
 */
export class PublishDenied extends Error {
  override readonly name = 'PublishDenied'
}
