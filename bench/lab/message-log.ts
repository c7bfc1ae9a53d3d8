// Log of published messages, written by every device and attacker, for labelling.

import { createHash } from 'node:crypto'
import { createWriteStream, type WriteStream } from 'node:fs'
import { once } from 'node:events'
import type { Role } from './plan.js'

/** A logged message. */
export interface LoggedMessage {
  /** Time of the publish call, epoch seconds. */
  time: number
  role: Role
  address: string
  clientId: string
  topic: string
  /** Payload length, bytes. */
  bytes: number
  /** Digest of topic and payload; see {@link messageDigest}. */
  digest: string
}

/** The publisher of a message. */
export interface Publisher {
  role: Role
  address: string
  clientId: string
}

const DIGEST_DIGITS = 16
export const MESSAGE_LOG_HEADER = 'time,role,address,client_id,topic,bytes,digest'

/** Returns a digest of topic and payload that identifies a message. */
export function messageDigest(topic: Uint8Array, payload: Uint8Array): string {
  return createHash('sha1').update(topic).update('\0').update(payload).digest('hex').slice(0, DIGEST_DIGITS)
}

/** A file with one line per message. */
export class MessageLog {
  readonly #file: WriteStream
  /** Messages logged so far. */
  messages = 0

  constructor(path: string) {
    this.#file = createWriteStream(path)
  }

  /** Logs a message; call it before sending. */
  logMessage({ role, address, clientId }: Publisher, topic: string | Uint8Array, payload: string | Uint8Array): void {
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

/** Quotes a CSV field: attackers choose any client ids and topics. */
function quoted(text: string): string {
  // Replace control characters; the capture has the original.
  const clean = text.replace(/\p{Cc}/gu, '?')
  return /[",]/.test(clean) ? `"${clean.replaceAll('"', '""')}"` : clean
}
