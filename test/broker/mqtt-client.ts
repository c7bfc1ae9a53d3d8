// MQTT.js clients for tests.

import mqtt, { type IClientOptions, type MqttClient, type MqttClientEventCallbacks, type OnMessageCallback } from 'mqtt'
import type { Test } from 'tap'

/** Timeout, long enough for a busy machine. */
const LIMIT_MS = 60_000

/** Creates a client without waiting for its connection. It is ended with the test. */
export function open(test: Test, url: string, options: IClientOptions = {}): MqttClient {
  const client = mqtt.connect(url, { reconnectPeriod: 0, ...options })
  // Tests check the consequences of an error: a closed connection or a missing message.
  client.on('error', () => {})
  test.teardown(() => client.endAsync(true))
  return client
}

/** Creates a client and waits for its connection. */
export async function connect(test: Test, url: string, options: IClientOptions = {}): Promise<MqttClient> {
  const client = open(test, url, options)
  await nextEvent(client, 'connect')
  return client
}

/** Resolves with the arguments of the next event; rejects at once if the connection is closed before `connect`. */
export function nextEvent<Event extends keyof MqttClientEventCallbacks>(
  client: MqttClient,
  event: Event
): Promise<Parameters<MqttClientEventCallbacks[Event]>> {
  return new Promise((resolve, reject) => {
    const start = performance.now()
    let error: Error | undefined
    const fail = (what: string): void => {
      settle(() => {
        reject(new Error(`${what} after ${Math.round(performance.now() - start)} ms`, { cause: error }))
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
    const onError = (cause: Error): void => {
      error = cause
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

/** Resolves with the next `count` messages of a client, as `topic payload`. */
export function messages(client: MqttClient, count: number): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const received: string[] = []
    const timer = setTimeout(
      () => reject(new Error(`${count} messages expected, received ${received.length}`)),
      LIMIT_MS
    )
    const onMessage: OnMessageCallback = (topic, payload) => {
      received.push(`${topic} ${payload.toString()}`)
      if (received.length < count) return
      clearTimeout(timer)
      client.off('message', onMessage)
      resolve(received)
    }
    client.on('message', onMessage)
  })
}
