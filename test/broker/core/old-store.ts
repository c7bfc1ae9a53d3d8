// The data folders that the broker wrote before the core: unpacked, with what is in them.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { findProgram } from '../../support/programs.js'

const FIXTURE = fileURLToPath(new URL('../../../../test/broker/core/old-store/', import.meta.url))

/** How the broker ended that wrote a folder. */
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
  /** As text, or in hexadecimal where it is none. */
  payload?: string
  payloadHex?: string
  qos: 0 | 1 | 2
  retain: boolean
  properties?: OldProperties
  /** Epoch ms. */
  messageExpiry?: number
}

/** A message in a queue; of one that was released only the packet identifier is left. */
export type OldQueued =
  | (OldMessage & { state: 'unsent' })
  | (OldMessage & { state: 'sent'; packetId: number })
  | { state: 'released'; packetId: number }

/** A subscription; the options of MQTT 5 only where the client spoke it. */
export interface OldFilter {
  filter: string
  qos: 0 | 1 | 2
  noLocal?: boolean
  retainAsPublished?: boolean
  retainHandling?: 0 | 1 | 2
  subscriptionIdentifier?: number
}

/** All that is stored for a client id. */
export interface OldSession {
  clientId: string
  /** null where it has no filter, which would tell. */
  version: 3 | 5 | null
  filters: OldFilter[]
  /** In the order in which it is due. */
  queue: OldQueued[]
  /** Packet identifiers of QoS 2 that were not released. */
  inbound: number[]
}

/** A ban, as bans.json has it. */
export interface OldBan {
  address: string | null
  clientId: string | null
  /** Epoch ms. */
  since: number
  until: number
  by: string
}

/** All that is in a folder. */
export interface OldContents {
  retained: OldMessage[]
  sessions: OldSession[]
  wills: (OldMessage & { clientId: string })[]
  bans: OldBan[]
  allow: string[]
}

/** What is in the folder that a broker left which ended so (old-store/make-old-store.md). */
export function oldContents(ended: Ended): OldContents {
  const expected = JSON.parse(readFileSync(path.join(FIXTURE, 'expected.json'), 'utf8')) as Record<Ended, OldContents>
  return expected[ended]
}

/** Puts that folder where it is told, where there is none yet: it is ready to be used as a broker's data folder. */
export function unpackOldStore(ended: Ended, folder: string): void {
  const beside = mkdtempSync(`${folder}-`)
  execFileSync(findProgram('tar'), ['-xzf', path.join(FIXTURE, 'old-store.tar.gz'), '-C', beside, '--no-same-owner'])
  renameSync(path.join(beside, ended), folder)
  rmSync(beside, { recursive: true })
}
