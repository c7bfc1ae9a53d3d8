// Unpacks data folders of the broker before the core, and lists their contents.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { findProgram } from '../../support/programs.js'

const FIXTURE = fileURLToPath(new URL('../../../../test/broker/core/old-store/', import.meta.url))

/** How the broker that wrote a folder ended. */
export type Ended = 'killed' | 'stopped'

/** Properties of a message; correlation data in hexadecimal. */
export interface OldProperties {
  payloadFormatIndicator?: boolean
  contentType?: string
  responseTopic?: string
  correlationDataHex?: string
  userProperties?: Record<string, string | string[]>
  messageExpiryInterval?: number
  subscriptionIdentifier?: number
  willDelayInterval?: number
}

/** A stored message. */
export interface OldMessage {
  topic: string
  /** Text; binary payloads are in `payloadHex`. */
  payload?: string
  payloadHex?: string
  qos: 0 | 1 | 2
  retain: boolean
  properties?: OldProperties
  /** Epoch ms. */
  messageExpiry?: number
}

/** A queued message; of a released one only the packet identifier is left. */
export type OldQueued =
  | (OldMessage & { state: 'unsent' })
  | (OldMessage & { state: 'sent'; packetId: number })
  | { state: 'released'; packetId: number }

/** A subscription; MQTT 5 options only for MQTT 5 clients. */
export interface OldFilter {
  filter: string
  qos: 0 | 1 | 2
  noLocal?: boolean
  retainAsPublished?: boolean
  retainHandling?: 0 | 1 | 2
  subscriptionIdentifier?: number
}

/** Everything stored for a client id. */
export interface OldSession {
  clientId: string
  /** null if unknown, because it has no filter. */
  version: 3 | 5 | null
  filters: OldFilter[]
  /** In order. */
  queue: OldQueued[]
  /** Packet identifiers of unreleased QoS 2 messages. */
  inbound: number[]
}

/** A ban in bans.json. */
export interface OldBan {
  address: string | null
  clientId: string | null
  /** Epoch ms. */
  since: number
  until: number
  by: string
}

/** Contents of a folder. */
export interface OldContents {
  retained: OldMessage[]
  sessions: OldSession[]
  wills: (OldMessage & { clientId: string })[]
  bans: OldBan[]
  allow: string[]
}

/** Returns the contents of the folder of a broker that ended in this way (old-store/make-old-store.md). */
export function oldContents(ended: Ended): OldContents {
  const expected = JSON.parse(readFileSync(path.join(FIXTURE, 'expected.json'), 'utf8')) as Record<Ended, OldContents>
  return expected[ended]
}

/** Unpacks that folder to a path that does not exist yet, for use as a data folder. */
export function unpackOldStore(ended: Ended, folder: string): void {
  const temporary = mkdtempSync(`${folder}-`)
  execFileSync(findProgram('tar'), ['-xzf', path.join(FIXTURE, 'old-store.tar.gz'), '-C', temporary, '--no-same-owner'])
  renameSync(path.join(temporary, ended), folder)
  rmSync(temporary, { recursive: true })
}
