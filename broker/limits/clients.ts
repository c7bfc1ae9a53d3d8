// Puts the limits of each client on it as it comes.

import type { Aedes, Client } from 'aedes'
import { arrivalOf } from '../listeners/arrival.js'
import { limitReading, type ReadingLimits } from './reading.js'
import type { Tally } from './tally.js'

/** The settings that this enforces. */
export interface ClientLimits extends ReadingLimits {
  /** Longest keep-alive, ms. */
  keepalive: number | null
}

/** The parts of a client that Aedes does not declare. */
interface ClientInternals {
  _parser: {
    prependListener (event: 'packet', listener: (packet: ConnectPacket) => void): void
    prependListener (event: 'error', listener: () => void): void
  }
}

interface ConnectPacket {
  cmd: string
  clientId?: string
  clean?: boolean
  protocolVersion?: number
  /** Seconds; 0 is none. */
  keepalive?: number
}

const SECOND_MS = 1_000
const MQTT_5 = 5

/** To be called before the broker listens, and before the detection is attached. */
export function limitClients (aedes: Aedes, limits: ClientLimits, tally: Tally): void {
  const { handle } = aedes
  aedes.handle = (connection, request) => {
    const client = handle(connection, request)
    const { _parser: parser } = client as unknown as ClientInternals
    const hit = (name: Parameters<Tally['hit']>[0]): void => { tally.hit(name, addressOf(client), { client: client.id }) }
    limitReading(client, limits, { onFast: hit, onFault: hit })
    parser.prependListener('error', () => { hit('malformed') })
    parser.prependListener('packet', packet => {
      if (packet.cmd !== 'connect') return
      arrivalOf(client.conn)?.settle()
      if (limits.keepalive !== null && isTooLong(packet, limits.keepalive / SECOND_MS)) {
        hit('keepalive')
        if (packet.protocolVersion !== MQTT_5) refuseIdentifier(packet)
      }
    })
    return client
  }
  aedes.on('clientError', (client, error) => {
    const name = LIMIT_OF[error.message]
    if (name !== undefined) tally.hit(name, addressOf(client), { client: client.id })
  })
  aedes.on('connectionError', (client, error) => {
    const name = LIMIT_OF[error.message]
    if (name !== undefined) tally.hit(name, addressOf(client))
  })
}

/** What Aedes itself refuses, by what it says. */
const LIMIT_OF: Readonly<Record<string, 'packetSize' | 'malformed' | undefined>> = {
  'packet too large': 'packetSize',
  'Invalid protocol': 'malformed',
  'empty topic not allowed in PUBLISH': 'malformed',
  '# is not allowed in PUBLISH': 'malformed',
  '+ is not allowed in PUBLISH': 'malformed'
}

function addressOf (client: Client): string {
  return arrivalOf(client.conn)?.client.address ?? ''
}

/** None at all is longer than any. */
function isTooLong ({ keepalive = 0 }: ConnectPacket, limit: number): boolean {
  return keepalive === 0 || keepalive > limit
}

/**
 * Makes Aedes answer as mosquitto does, "identifier rejected", where it would answer with a return code
 * that does not exist [MQTT-3.2.2-6]: a lasting session without a name is refused so [MQTT-3.1.3-8].
 */
function refuseIdentifier (packet: ConnectPacket): void {
  packet.clientId = ''
  packet.clean = false
}
