// Topics that start with $: which are reserved to the broker, and which expose clients.

const SYS = '$SYS/'
const CONTROL = '$CONTROL/'
/** Broker statistics as in mosquitto. */
const STATISTICS = '$SYS/broker/'
/** Exceptions that name clients: alerts and scores, and the log if it is published. */
const NAMING = ['$SYS/broker/artemis/', '$SYS/broker/log/']

/** Topic of control requests. They are authorised when the broker answers. */
export const CONTROL_REQUEST = '$CONTROL/artemis/v1'
/** Topic of control responses; only the requesting client receives them. */
export const CONTROL_RESPONSE = '$CONTROL/artemis/v1/response'

/** Whether only the broker may publish to a topic. */
export function isReserved(topic: string): boolean {
  return topic.startsWith(SYS)
}

/**
 * Whether messages of a topic expose or control other clients, so that access needs a proven or local identity.
 * Aedes itself publishes connects and disconnects under `$SYS/ID/`, with an id other than `broker`.
 */
export function namesClients(topic: string): boolean {
  if (!topic.startsWith('$')) return false
  if (topic.startsWith(CONTROL)) return true
  if (!topic.startsWith(SYS)) return false
  return !topic.startsWith(STATISTICS) || NAMING.some(prefix => topic.startsWith(prefix))
}
