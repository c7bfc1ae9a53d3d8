// Puts the limits of each client on it as it comes.

import type { Aedes, Client } from 'aedes'
import type { ConnectPacket } from '../core/link.js'
import { acceptedOf } from '../listeners/accepted-connection.js'
import type { LimitCounters } from './limit-counters.js'

/** The settings that this enforces. */
export interface ClientLimits {
  /** Longest keep-alive, ms. */
  keepalive: number | null
}

const SECOND_MS = 1_000
const MQTT_5 = 5

/** Counts what Aedes itself refuses. */
export function limitClients(aedes: Aedes, tally: LimitCounters): void {
  aedes.on('clientError', (client, error) => {
    const name = LIMIT_OF[error.message]
    if (name !== undefined) tally.hit(name, addressOf(client), { client: client.id })
  })
  aedes.on('connectionError', (client, error) => {
    const name = LIMIT_OF[error.message]
    if (name !== undefined) tally.hit(name, addressOf(client))
  })
}

/** A CONNECT has come: in time, and with a keep-alive that is not too long. */
export function onConnect(
  client: Client,
  packet: ConnectPacket,
  { keepalive }: ClientLimits,
  tally: LimitCounters
): void {
  acceptedOf(client.conn)?.settle()
  if (keepalive === null || !isTooLong(packet, keepalive / SECOND_MS)) return
  tally.hit('keepalive', addressOf(client), { client: client.id })
  if (packet.protocolVersion !== MQTT_5) refuseIdentifier(packet)
}

/** What Aedes and the core refuse, by what they say. */
const LIMIT_OF: Readonly<Record<string, 'packetSize' | 'malformed' | undefined>> = {
  'packet too large': 'packetSize',
  'Invalid protocol': 'malformed'
}

/** Where a client is, as far as that can be believed. */
export function addressOf(client: Client): string {
  return acceptedOf(client.conn)?.client.address ?? ''
}

/** None at all is longer than any. */
function isTooLong({ keepalive }: ConnectPacket, limit: number): boolean {
  return keepalive === 0 || keepalive > limit
}

/**
 * Makes Aedes answer as mosquitto does, "identifier rejected", where it would answer with a return code
 * that does not exist [MQTT-3.2.2-6]: a lasting session without a name is refused so [MQTT-3.1.3-8].
 */
function refuseIdentifier(packet: ConnectPacket): void {
  packet.clientId = ''
  packet.clean = false
}
