// Who published what and when: written down by every device and every attacker, for the labels.

import { createHash } from 'node:crypto'
import { createWriteStream, type WriteStream } from 'node:fs'
import { once } from 'node:events'
import type { Role } from './plan.js'

/** One message as its publisher handed it over. */
export interface LedgerEntry {
  /** Epoch seconds at which it was handed over. */
  time: number
  role: Role
  address: string
  clientId: string
  topic: string
  /** Of the payload. */
  bytes: number
  /** Of topic and payload; see {@link messageDigest}. */
  digest: string
}

/** Who publishes. */
export interface Publisher {
  role: Role
  address: string
  clientId: string
}

const DIGEST_DIGITS = 16
export const LEDGER_HEADER = 'time,role,address,client_id,topic,bytes,digest'

/** What tells messages apart: a digest of topic and payload. */
export function messageDigest(topic: Uint8Array, payload: Uint8Array): string {
  return createHash('sha1').update(topic).update('\0').update(payload).digest('hex').slice(0, DIGEST_DIGITS)
}

/** A file of messages, one line each. */
export class Ledger {
  readonly #file: WriteStream
  /** Messages written down so far. */
  messages = 0

  constructor(path: string) {
    this.#file = createWriteStream(path)
  }

  /** Writes a message down; to be called before it is sent. */
  note({ role, address, clientId }: Publisher, topic: string | Uint8Array, payload: string | Uint8Array): void {
    const name = Buffer.from(topic)
    const bytes = Buffer.from(payload)
    const digest = messageDigest(name, bytes)
    this.messages++
    this.#file.write(
      `${(Date.now() / 1_000).toFixed(3)},${role},${address},${quoted(clientId)},${quoted(name.toString())},${bytes.length},${digest}\n`
    )
  }

  async close(): Promise<void> {
    this.#file.end()
    await once(this.#file, 'close')
  }
}

/** A field of CSV: attackers call themselves and their topics anything. */
function quoted(text: string): string {
  // Control characters have no business in a text file; they are for the capture to show.
  const clean = text.replace(/\p{Cc}/gu, '?')
  return /[",]/.test(clean) ? `"${clean.replaceAll('"', '""')}"` : clean
}
