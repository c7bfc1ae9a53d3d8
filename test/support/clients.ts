// MQTT clients with different source addresses: all of 127.0.0.0/8 is loopback.

import { connect as connectSocket } from 'node:net'
import { MqttClient, type IClientOptions } from 'mqtt'

/** Port of the broker, and source address of the client. */
export interface Route {
  port: number
  /** Source address, in 127.0.0.0/8. */
  from?: string
}

/**
 * Connects an MQTT.js client without automatic reconnection. Nagle's algorithm is off, because it would
 * combine many small packets into one frame.
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
      reject(new Error('connection closed before the CONNACK'))
    })
  })
  // A later disconnect must not end the test.
  client.on('error', () => {})
  return client
}

/** Disconnects a client and waits until its socket is closed. */
export async function endClient(client: MqttClient): Promise<void> {
  if (client.connected) await client.endAsync()
}
