// Reads all retained messages of a broker over MQTT.

import { connectMqtt, type MqttClient, type MqttClientOptions, type MqttMessage } from './mqtt-client.js'

/** Time without a retained message after which all have arrived. */
const QUIET_MS = 1_000
/**
 * mosquitto drops retained messages beyond its in-flight window and queue, by default 20 and 1,000. A larger Receive
 * Maximum raises the window.
 */
const RECEIVE_MAXIMUM = 65_535

/** Statistics topics of mosquitto and of this broker. */
const STATISTICS = { retained: '$SYS/broker/retained messages/count', sessions: '$SYS/broker/clients/disconnected' }

/** Retained messages of a remote broker. */
export interface RemoteRetained {
  /** By topic, without those under `$SYS`. */
  messages: ReadonlyMap<string, MqttMessage>
  /** Retained messages that the broker counts but did not send: dropped, or not readable by this user. */
  missing: number
  /** Sessions of disconnected clients; undefined if the broker does not publish their number. */
  sessions: number | undefined
}

/**
 * Reads the retained messages of a broker.
 *
 * @param onProgress receives the number of messages so far, and their total as counted by the broker
 * @throws OperatorError as `connectMqtt`
 */
export async function readRetained(
  url: string,
  options: MqttClientOptions,
  onProgress: (done: number, total: number) => void
): Promise<RemoteRetained> {
  const messages = new Map<string, MqttMessage>()
  const sys = await readFilter(url, options, '$SYS/#', () => {})
  const total = countOf(sys, STATISTICS.retained) - sys.size
  await readFilter(url, options, '#', message => {
    messages.set(message.topic, message)
    onProgress(messages.size, total)
  })
  const sessions = sys.get(STATISTICS.sessions)
  return {
    messages,
    missing: Math.max(0, total - messages.size),
    sessions: sessions === undefined ? undefined : countOf(sys, STATISTICS.sessions)
  }
}

/** Reads the retained messages of a filter over a separate connection, so that subscriptions do not mix. */
async function readFilter(
  url: string,
  options: MqttClientOptions,
  filter: string,
  onMessage: (message: MqttMessage) => void
): Promise<Map<string, MqttMessage>> {
  const client = await connectMqtt(url, { ...options, protocolVersion: 5, receiveMaximum: RECEIVE_MAXIMUM })
  const found = new Map<string, MqttMessage>()
  try {
    const subscribed = client.subscribe([filter], 2)
    await Promise.all([
      subscribed,
      subscribed.then(() =>
        drain(client, message => {
          found.set(message.topic, message)
          onMessage(message)
        })
      )
    ])
  } finally {
    await client.close()
  }
  return found
}

/** Reads until no retained message arrives for a while; ignores other messages. */
async function drain(client: MqttClient, onMessage: (message: MqttMessage) => void): Promise<void> {
  let quietFrom = performance.now()
  for (;;) {
    const left = quietFrom + QUIET_MS - performance.now()
    const message = left > 0 ? await client.next(left) : undefined
    if (message === undefined) return
    if (!message.retain) continue
    quietFrom = performance.now()
    onMessage(message)
  }
}

function countOf(messages: ReadonlyMap<string, MqttMessage>, topic: string): number {
  const count = Number(messages.get(topic)?.payload.toString() ?? 0)
  return Number.isSafeInteger(count) ? count : 0
}
