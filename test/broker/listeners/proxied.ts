// PROXY headers, and MQTT clients that send one, as a proxy would.

import net, { isIPv6, type Socket } from 'node:net'
import mqtt, { MqttClient, type IClientOptions } from 'mqtt'
import type { Test } from 'tap'
import { nextEvent } from '../mqtt-client.js'

/** A version 1 header. */
export function lineHeader(address: string, port = 40_000): Buffer {
  return Buffer.from(
    `PROXY ${isIPv6(address) ? 'TCP6' : 'TCP4'} ${address} ${isIPv6(address) ? '::1' : '10.0.0.1'} ${port} 1883\r\n`
  )
}

/** A version 2 header for IPv4. */
export function binaryHeader(address: string, port = 40_000): Buffer {
  const body = Buffer.from([...address.split('.').map(Number), 10, 0, 0, 1, port >> 8, port & 0xff, 0x07, 0x5b])
  return Buffer.concat([Buffer.from('0d0a0d0a000d0a515549540a2111000c', 'hex'), body])
}

/** Opens a socket that sends these bytes first. */
export function socketWith(port: number, header: Buffer): Socket {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
  socket.on('error', () => {})
  socket.write(header)
  return socket
}

/** Connects an MQTT client behind a proxy. */
export async function connectProxied(
  test: Test,
  port: number,
  header: Buffer,
  options: IClientOptions = {}
): Promise<MqttClient> {
  const client = new MqttClient(() => socketWith(port, header), { reconnectPeriod: 0, ...options })
  return await ready(test, client)
}

/** Connects an MQTT client behind a proxy over WebSocket. */
export async function connectProxiedWeb(
  test: Test,
  port: number,
  header: Buffer,
  options: IClientOptions = {}
): Promise<MqttClient> {
  const wsOptions = { createConnection: () => socketWith(port, header) }
  return await ready(test, mqtt.connect(`ws://127.0.0.1:${port}`, { reconnectPeriod: 0, wsOptions, ...options }))
}

async function ready(test: Test, client: MqttClient): Promise<MqttClient> {
  client.on('error', () => {})
  test.teardown(() => client.endAsync(true))
  await nextEvent(client, 'connect')
  return client
}
