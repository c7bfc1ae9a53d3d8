// Client ids that attackers take: which frames of the victims' connections are there only for that.

import type { StreamFrame, TcpStream } from '../../src/types.js'

/** A device that was thrown out does in its first second back what it would not have had to do. */
const RETURN_SECONDS = 1
const CONNECT = 0x10
const LAST_LEVEL = 5

interface Attachment {
  isAttacker: boolean
  clientId: string | null
  openedAt: number
  /** When an attacker took its id; null as long as none has. */
  takenAt: number | null
  /** Whether its client was thrown out of the connection before this one. */
  isReturn: boolean
  frames: { number: number; time: number }[]
}

/** Follows who has which client id. Frames are pushed in the order of the capture. */
export class Takeovers {
  readonly #attachments = new Map<TcpStream, Attachment>()
  readonly #holders = new Map<string, Attachment>()

  push({ frame, stream, direction, from, chunks }: StreamFrame, isAttacker: boolean): void {
    const time = frame.seconds + frame.nanoseconds / 1e9
    let attachment = this.#attachments.get(stream)
    if (attachment === undefined)
      this.#attachments.set(
        stream,
        (attachment = { isAttacker, clientId: null, openedAt: time, takenAt: null, isReturn: false, frames: [] })
      )
    if (!isAttacker) attachment.frames.push({ number: frame.number, time })
    const bytes = chunks[0]?.bytes ?? null
    if (direction !== 'in' || from !== 0 || bytes === null) return
    const clientId = clientIdOf(bytes)
    if (clientId === null || clientId === '') return
    attachment.clientId = clientId
    const holder = this.#holders.get(clientId)
    if (isAttacker && holder?.isAttacker === false) holder.takenAt ??= time
    // Also from an attacker, who had it from a device.
    attachment.isReturn = !isAttacker && holder !== undefined && (holder.isAttacker || holder.takenAt !== null)
    this.#holders.set(clientId, attachment)
  }

  /** Frames of benign connections: all since an attacker took the id, and the first second of a return. */
  *attackFrames(): Generator<number> {
    for (const { isAttacker, takenAt, isReturn, openedAt, frames } of this.#attachments.values()) {
      if (isAttacker) continue
      for (const { number, time } of frames) {
        if ((takenAt !== null && time >= takenAt) || (isReturn && time < openedAt + RETURN_SECONDS)) yield number
      }
    }
  }
}

/** The client id of a CONNECT that a connection begins with; null where there is none. */
function clientIdOf(bytes: Uint8Array): string | null {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  if (view[0] !== CONNECT) return null
  let at = 1
  while (at < view.length && (view[at] & 0x80) !== 0) at++
  at++
  const text = (): string | null => {
    if (at + 2 > view.length) return null
    const length = view.readUInt16BE(at)
    at += 2 + length
    return at > view.length ? null : view.toString('utf8', at - length, at)
  }
  if (text() === null || at + 4 > view.length) return null
  const level = view[at]
  at += 4
  // Properties are shorter than 128 bytes in what the lab's devices send.
  if (level === LAST_LEVEL) at += 1 + (view[at] ?? 0)
  return text()
}
