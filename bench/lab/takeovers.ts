// Client ids that attackers take over: finds the frames of the victims' connections that the takeover caused.

import type { StreamFrame, TcpStream } from '../../src/types.js'

/** In the first second after reconnection, a disconnected device repeats its setup because of the attack. */
const RECONNECTION_SECONDS = 1
const CONNECT = 0x10
const MQTT5_LEVEL = 5

interface TrackedConnection {
  isAttacker: boolean
  clientId: string | null
  openedAt: number
  /** When an attacker took over its client id; null before that. */
  takenOverAt: number | null
  /** Whether the previous connection of its client was taken over. */
  isReconnection: boolean
  frames: { number: number; time: number }[]
}

/** Tracks which connection has which client id; push frames in capture order. */
export class Takeovers {
  readonly #connections = new Map<TcpStream, TrackedConnection>()
  readonly #owners = new Map<string, TrackedConnection>()

  push({ frame, stream, direction, from, chunks }: StreamFrame, isAttacker: boolean): void {
    const time = frame.seconds + frame.nanoseconds / 1e9
    let connection = this.#connections.get(stream)
    if (connection === undefined)
      this.#connections.set(
        stream,
        (connection = {
          isAttacker,
          clientId: null,
          openedAt: time,
          takenOverAt: null,
          isReconnection: false,
          frames: []
        })
      )
    if (!isAttacker) connection.frames.push({ number: frame.number, time })
    const bytes = chunks[0]?.bytes ?? null
    if (direction !== 'in' || from !== 0 || bytes === null) return
    const clientId = clientIdOf(bytes)
    if (clientId === null || clientId === '') return
    connection.clientId = clientId
    const owner = this.#owners.get(clientId)
    if (isAttacker && owner?.isAttacker === false) owner.takenOverAt ??= time
    // Also if the client takes its id back from an attacker.
    connection.isReconnection = !isAttacker && owner !== undefined && (owner.isAttacker || owner.takenOverAt !== null)
    this.#owners.set(clientId, connection)
  }

  /** Returns frames of benign connections: all after the takeover, and the first second after a reconnection. */
  *attackFrames(): Generator<number> {
    for (const { isAttacker, takenOverAt, isReconnection, openedAt, frames } of this.#connections.values()) {
      if (isAttacker) continue
      for (const { number, time } of frames) {
        if ((takenOverAt !== null && time >= takenOverAt) || (isReconnection && time < openedAt + RECONNECTION_SECONDS))
          yield number
      }
    }
  }
}

/** Returns the client id of a leading CONNECT; null if there is none. */
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
  // The lab's devices send properties of less than 128 bytes.
  if (level === MQTT5_LEVEL) at += 1 + (view[at] ?? 0)
  return text()
}
