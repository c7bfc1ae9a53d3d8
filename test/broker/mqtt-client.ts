// MQTT.js clients for tests: connected, cleared away, and awaited.

import mqtt, { type IClientOptions, type MqttClient, type MqttClientEventCallbacks, type OnMessageCallback } from 'mqtt'
import type { Test } from 'tap'

/** Far beyond what anything takes on a machine that does much else; only a fault gets there. */
const LIMIT_MS = 60_000

/** Makes a client without waiting for its connection; it is ended with the test. */
export function open(test: Test, url: string, options: IClientOptions = {}): MqttClient {
  const client = mqtt.connect(url, { reconnectPeriod: 0, ...options })
  // Tests look at what follows from an error: a closed connection, a missing message.
  client.on('error', () => {})
  test.teardown(() => client.endAsync(true))
  return client
}

/** Makes a client and waits for its connection. */
export async function connect(test: Test, url: string, options: IClientOptions = {}): Promise<MqttClient> {
  const client = open(test, url, options)
  await heard(client, 'connect')
  return client
}

/** What comes with the next such event; rejects at once where the connection is closed before it is one. */
export function heard<Event extends keyof MqttClientEventCallbacks>(
  client: MqttClient,
  event: Event
): Promise<Parameters<MqttClientEventCallbacks[Event]>> {
  return new Promise((resolve, reject) => {
    const begun = performance.now()
    let error: Error | undefined
    const fail = (what: string): void => {
      settle(() => {
        reject(new Error(`${what} after ${Math.round(performance.now() - begun)} ms`, { cause: error }))
      })
    }
    const timer = setTimeout(() => {
      fail(`no ${event}`)
    }, LIMIT_MS)
    const onEvent = (...args: unknown[]): void => {
      settle(() => {
        resolve(args as Parameters<MqttClientEventCallbacks[Event]>)
      })
    }
    const onError = (found: Error): void => {
      error = found
    }
    const onClose = (): void => {
      fail(`closed instead of ${event}: ${error?.message ?? 'no error'}`)
    }
    function settle(done: () => void): void {
      clearTimeout(timer)
      client.off(event, onEvent)
      client.off('error', onError)
      client.off('close', onClose)
      done()
    }
    client.once(event, onEvent)
    if (event !== 'connect') return
    client.on('error', onError)
    client.once('close', onClose)
  })
}

/** The next `count` messages of a client, as `topic payload`. */
export function messages(client: MqttClient, count: number): Promise<string[]> {
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
