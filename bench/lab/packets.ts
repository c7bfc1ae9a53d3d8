// Builds MQTT control packets byte by byte, including invalid ones that no client library would send.

import { packet, text } from '../../test/decode/craft-mqtt.js'

export { packet, text }

/** Fields of a CONNECT. */
export interface ConnectFields {
  clientId: string
  /** Protocol level: 3 for MQTT 3.1, 4 for 3.1.1, 5. */
  level?: 3 | 4 | 5
  clean?: boolean
  /** Seconds. */
  keepalive?: number
  username?: string
  password?: string
  will?: { topic: string; payload: string; qos?: 0 | 1 | 2; retain?: boolean }
}

/** Returns a CONNECT. */
export function connectPacket({
  clientId,
  level = 4,
  clean = true,
  keepalive = 60,
  username,
  password,
  will
}: ConnectFields): Buffer {
  const flags =
    (username === undefined ? 0 : 0x80) |
    (password === undefined ? 0 : 0x40) |
    (clean ? 0x02 : 0) |
    (will === undefined ? 0 : 0x04 | ((will.qos ?? 0) << 3) | (will.retain === true ? 0x20 : 0))
  const properties = level === 5 ? Buffer.from([0]) : Buffer.alloc(0)
  return packet(
    0x10,
    Buffer.concat([
      text(level === 3 ? 'MQIsdp' : 'MQTT'),
      Buffer.from([level, flags, keepalive >> 8, keepalive & 255]),
      properties,
      text(clientId),
      ...(will === undefined ? [] : [properties, text(will.topic), text(will.payload)]),
      ...(username === undefined ? [] : [text(username)]),
      ...(password === undefined ? [] : [text(password)])
    ])
  )
}

/** Fields of a PUBLISH other than topic and payload. */
export interface PublishFields {
  qos?: 0 | 1 | 2
  retain?: boolean
  /** Packet identifier, from 1 to 65535; only with QoS 1 and 2. */
  id?: number
}

/** Returns a PUBLISH of MQTT 3.1.1. */
export function publishPacket(
  topic: string,
  payload: string | Uint8Array,
  { qos = 0, retain = false, id = 1 }: PublishFields = {}
): Buffer {
  return packet(
    0x30 | (qos << 1) | (retain ? 1 : 0),
    Buffer.concat([text(topic), qos === 0 ? Buffer.alloc(0) : Buffer.from([id >> 8, id & 255]), Buffer.from(payload)])
  )
}

/** Returns a SUBSCRIBE of MQTT 3.1.1. */
export function subscribePacket(filters: readonly string[], qos: 0 | 1 | 2 = 0, id = 1): Buffer {
  return packet(
    0x82,
    Buffer.concat([
      Buffer.from([id >> 8, id & 255]),
      ...filters.map(filter => Buffer.concat([text(filter), Buffer.from([qos])]))
    ])
  )
}

/** Returns an UNSUBSCRIBE of MQTT 3.1.1. */
export function unsubscribePacket(filters: readonly string[], id = 1): Buffer {
  return packet(0xa2, Buffer.concat([Buffer.from([id >> 8, id & 255]), ...filters.map(text)]))
}

export const PINGREQ = packet(0xc0)
export const DISCONNECT = packet(0xe0)
