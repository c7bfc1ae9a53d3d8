// Keep-alive limit, and counts of errors that Aedes and the core report.

import type { Aedes, Client } from 'aedes-2'
import type { ConnectPacket } from '../core/link.js'
import { acceptedOf } from '../listeners/accepted-connection.js'
import type { LimitCounters } from './limit-counters.js'

/** The enforced settings. */
export interface ClientLimits {
  /** Longest keep-alive, ms. */
  keepalive: number | null
}

const SECOND_MS = 1_000
const MQTT_5 = 5

/** Counts connections that Aedes or the core closes because of a limit. */
export function limitClients(aedes: Aedes, limitCounters: LimitCounters): void {
  aedes.on('clientError', (client, error) => {
    const name = LIMIT_OF[error.message]
    if (name !== undefined) limitCounters.hit(name, addressOf(client), { client: client.id })
  })
  aedes.on('connectionError', (client, error) => {
    const name = LIMIT_OF[error.message]
    if (name !== undefined) limitCounters.hit(name, addressOf(client))
  })
}

/** Handles a CONNECT: clears its deadline and checks the keep-alive. */
export function onConnect(
  client: Client,
  packet: ConnectPacket,
  { keepalive }: ClientLimits,
  limitCounters: LimitCounters
): void {
  acceptedOf(client.conn)?.clearDeadline()
  if (keepalive === null || !isTooLong(packet, keepalive / SECOND_MS)) return
  limitCounters.hit('keepalive', addressOf(client), { client: client.id })
  if (packet.protocolVersion !== MQTT_5) refuseIdentifier(packet)
}

/** Limits by the error messages of Aedes and the core. */
const LIMIT_OF: Readonly<Record<string, 'packetSize' | 'malformed' | undefined>> = {
  'packet too large': 'packetSize',
  'Invalid protocol': 'malformed'
}

/** Address of a client: the one that a trusted proxy announced, otherwise that of its socket; empty if unknown. */
export function addressOf(client: Client): string {
  return acceptedOf(client.conn)?.client.address ?? ''
}

/** A keep-alive of 0 means none, which is always too long. */
function isTooLong({ keepalive }: ConnectPacket, limit: number): boolean {
  return keepalive === 0 || keepalive > limit
}

/**
 * Makes Aedes reply "identifier rejected", as mosquitto does, instead of a return code that does not exist
 * [MQTT-3.2.2-6]: that is the reply to a persistent session without a client id [MQTT-3.1.3-8].
 */
function refuseIdentifier(packet: ConnectPacket): void {
  packet.clientId = ''
  packet.clean = false
}
