// Authorises a message for one client with the `authorizeForward` hook, which may change it for this client only.

import type { Client } from 'aedes'
import type { Broker } from './broker.js'
import { checkMessage, messageOf, type Message, type MessageSource, type NamedProperties } from './message.js'

/** Returns the message as the client may receive it; undefined if it is denied or invalid. */
export function authoriseForward(broker: Broker, client: Client, message: Message): Message | undefined {
  const { topic, payload, qos, retain, properties, messageId } = message
  const result = broker.authorizeForward(client, message) as MessageSource | null | undefined
  const isChanged =
    result !== message ||
    message.topic !== topic ||
    message.payload !== payload ||
    message.qos !== qos ||
    message.retain !== retain ||
    message.properties !== properties ||
    message.messageId !== messageId
  if (!isChanged) return message
  const changed = result ? changedMessage(result, message, properties) : undefined
  Object.assign(message, { topic, payload, qos, retain, properties, messageId })
  return changed
}

/** Creates the changed message; undefined if it cannot be sent. */
function changedMessage(
  result: MessageSource,
  message: Message,
  properties: NamedProperties | undefined
): Message | undefined {
  const { topic, payload, qos, retain, clientId } = result
  const changed = messageOf({
    topic,
    payload,
    qos,
    retain,
    clientId,
    properties: result.properties,
    encodedProperties: result.properties === properties ? message.encodedProperties : undefined,
    messageExpiry: message.messageExpiry
  })
  try {
    checkMessage(changed)
    return changed
  } catch {
    return undefined
  }
}
