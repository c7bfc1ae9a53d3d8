// Reads all retained messages of a running broker over MQTT.

import { connectMqtt, type MqttClient, type MqttClientOptions, type MqttMessage } from './mqtt-client.js'

/** A broker that sends nothing for so long has sent what it keeps. */
const QUIET_MS = 1_000
/**
 * mosquitto sends no more retained messages than it may have under way and in the queue: 20 and 1,000, if it is not
 * told that more may be.
 */
const RECEIVE_MAXIMUM = 65_535

/** Figures that mosquitto, and this broker, publish. */
const FIGURES = { retained: '$SYS/broker/retained messages/count', sessions: '$SYS/broker/clients/disconnected' }

/** What a broker keeps. */
export interface RemoteRetained {
  /** By topic; those of the broker itself ($SYS) left out. */
  messages: ReadonlyMap<string, MqttMessage>
  /**
   * Retained messages by the broker's own count that did not come: this user may not read them, or the broker left them
   * out.
   */
  missing: number
  /** Sessions of clients which are away; undefined where the broker does not say. */
  sessions: number | undefined
}

/**
 * Reads what a broker keeps.
 *
 * @param onProgress gets how many messages have come, and how many there are by the broker's own count
 * @throws OperatorError as `connectMqtt`
 */
export async function readRetained(
  url: string,
  options: MqttClientOptions,
  onProgress: (done: number, total: number) => void
): Promise<RemoteRetained> {
  const messages = new Map<string, MqttMessage>()
  const own = await retained(url, options, '$SYS/#', () => {})
  const total = countOf(own, FIGURES.retained) - own.size
  await retained(url, options, '#', message => {
    messages.set(message.topic, message)
    onProgress(messages.size, total)
  })
  const sessions = own.get(FIGURES.sessions)
  return {
    messages,
    missing: Math.max(0, total - messages.size),
    sessions: sessions === undefined ? undefined : countOf(own, FIGURES.sessions)
  }
}

/** The retained messages of a filter, on a connection of their own: a second subscription would mix with the first. */
async function retained(
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

/** Reads until no retained message has come for a while, whatever else comes. */
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
