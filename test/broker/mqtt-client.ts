// MQTT.js clients for tests: connected, cleared away, and awaited.

import mqtt, { type IClientOptions, type MqttClient, type MqttClientEventCallbacks, type OnMessageCallback } from 'mqtt'
import type { Test } from 'tap'

const LIMIT_MS = 20_000

/** Makes a client without waiting for its connection; it is ended with the test. */
export function open (test: Test, url: string, options: IClientOptions = {}): MqttClient {
  const client = mqtt.connect(url, { reconnectPeriod: 0, ...options })
  // Tests look at what follows from an error: a closed connection, a missing message.
  client.on('error', () => {})
  test.teardown(() => client.endAsync(true))
  return client
}

/** Makes a client and waits for its connection. */
export async function connect (test: Test, url: string, options: IClientOptions = {}): Promise<MqttClient> {
  const client = open(test, url, options)
  await heard(client, 'connect')
  return client
}

/** What comes with the next such event. */
export function heard<Event extends keyof MqttClientEventCallbacks> (
  client: MqttClient, event: Event
): Promise<Parameters<MqttClientEventCallbacks[Event]>> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${event} in time`)), LIMIT_MS)
    client.once(event, ((...args: Parameters<MqttClientEventCallbacks[Event]>) => {
      clearTimeout(timer)
      resolve(args)
    }) as MqttClientEventCallbacks[Event])
  })
}

/** The next `count` messages of a client, as `topic payload`. */
export function messages (client: MqttClient, count: number): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const got: string[] = []
    const timer = setTimeout(() => reject(new Error(`${count} messages expected, got ${got.length}`)), LIMIT_MS)
    const onMessage: OnMessageCallback = (topic, payload) => {
      got.push(`${topic} ${payload.toString()}`)
      if (got.length < count) return
      clearTimeout(timer)
      client.off('message', onMessage)
      resolve(got)
    }
    client.on('message', onMessage)
  })
}
