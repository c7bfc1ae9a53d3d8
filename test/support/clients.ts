// MQTT clients with source addresses of their own: all of 127.0.0.0/8 is loopback.

import { connect as connectSocket } from 'node:net'
import { MqttClient, type IClientOptions } from 'mqtt'

/** Where a client comes from and goes to. */
export interface Route {
  port: number
  /** Its own address, in 127.0.0.0/8. */
  from?: string
}

/**
 * Connects an MQTT.js client that does not reconnect by itself. Nagle's algorithm is off, as it would
 * gather many small packets into one frame.
 */
export async function connectClient(
  { port, from = '127.0.0.1' }: Route,
  options: IClientOptions = {}
): Promise<MqttClient> {
  const client = new MqttClient(() => connectSocket({ host: '127.0.0.1', port, localAddress: from, noDelay: true }), {
    reconnectPeriod: 0,
    ...options
  })
  await new Promise<void>((resolve, reject) => {
    client.once('connect', () => {
      resolve()
    })
    client.once('error', reject)
    client.once('close', () => {
      reject(new Error('the connection was closed before the CONNACK'))
    })
  })
  // A client that is thrown out later must not take the test with it.
  client.on('error', () => {})
  return client
}

/** Ends a client and waits until its socket is closed. */
export async function endClient(client: MqttClient): Promise<void> {
  if (client.connected) await client.endAsync()
}
