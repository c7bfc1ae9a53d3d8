// Topics that begin with $: whose they are, and which of them tell about clients.

const SYS = '$SYS/'
const CONTROL = '$CONTROL/'
/** What mosquitto publishes of itself: figures alone. */
const FIGURES = '$SYS/broker/'
/** Below it, what names clients: alerts and scores, and the log where it is published. */
const NAMING = ['$SYS/broker/artemis/', '$SYS/broker/log/']

/** Where the broker is asked to do something; whether it does is decided when it answers. */
export const CONTROL_REQUEST = '$CONTROL/artemis/v1'
/** Where it answers, and whoever asked alone. */
export const CONTROL_RESPONSE = '$CONTROL/artemis/v1/response'

/** Whether only the broker itself publishes to a topic. */
export function isReserved(topic: string): boolean {
  return topic.startsWith(SYS)
}

/**
 * Whether messages on a topic tell about other clients, or act on them: not for everybody who is let in. Aedes
 * itself tells who comes and goes under `$SYS/ID/`, with an id that is not `broker`.
 */
export function namesClients(topic: string): boolean {
  if (!topic.startsWith('$')) return false
  if (topic.startsWith(CONTROL)) return true
  if (!topic.startsWith(SYS)) return false
  return !topic.startsWith(FIGURES) || NAMING.some(prefix => topic.startsWith(prefix))
}
