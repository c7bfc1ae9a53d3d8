// Denies a PUBLISH without disconnecting the client.

/**
 * Error for hooks that deny a PUBLISH but keep the client connected. An MQTT 5 client receives the reason in its
 * acknowledgement. For older clients the message is acknowledged and dropped, while any other error closes their
 * connection, as in Aedes.
 */
export class PublishDenied extends Error {
  override readonly name = 'PublishDenied'
}
