// A WebSocket as a byte stream; chunks that are written together are sent as one frame.

import { Duplex } from 'node:stream'
import type { RawData, WebSocket } from 'ws'

type Done = (error?: Error | null) => void

/** Time for the peer to answer a close, ms. */
const CLOSE_TIMEOUT_MS = 1_000
/** Unsent bytes beyond which pings are ignored: pongs would pile up for a peer that does not read. */
const MAX_UNSENT_BYTES = 65_536
/** Close codes: normal closure, and unsupported data (RFC 6455, section 7.4.1). */
const NORMAL = 1_000
const UNSUPPORTED = 1_003

/** Stream of an open WebSocket. */
export class WebSocketStream extends Duplex {
  readonly #socket: WebSocket

  constructor(socket: WebSocket) {
    super({ highWaterMark: 65_536 })
    this.#socket = socket
    socket.on('message', this.#onMessage)
    socket.on('ping', this.#onPing)
    socket.on('error', error => {
      this.destroy(error)
    })
    socket.on('close', () => {
      if (!this.readableEnded && !this.destroyed) this.push(null)
      this.destroy()
    })
  }

  override _read(): void {
    this.#socket.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#socket.send(chunk, done)
  }

  override _writev(chunks: { chunk: Buffer }[], done: Done): void {
    this.#socket.send(Buffer.concat(chunks.map(({ chunk }) => chunk)), done)
  }

  override _final(done: Done): void {
    this.#socket.close(NORMAL)
    done()
  }

  override _destroy(error: Error | null, done: Done): void {
    const socket = this.#socket
    socket.off('message', this.#onMessage)
    if (socket.readyState === socket.OPEN && error === null) {
      socket.close(NORMAL)
      socket.resume()
    }
    if (error !== null) socket.terminate()
    else if (socket.readyState !== socket.CLOSED) {
      const timer = setTimeout(() => {
        socket.terminate()
      }, CLOSE_TIMEOUT_MS)
      socket.once('close', () => {
        clearTimeout(timer)
      })
    }
    done(error)
  }

  readonly #onMessage = (data: RawData, isBinary: boolean): void => {
    // [MQTT-6.0.0-1]
    if (!isBinary) {
      this.#socket.close(UNSUPPORTED)
      this.destroy()
    } else if (!this.push(data)) this.#socket.pause()
  }

  readonly #onPing = (data: Buffer): void => {
    if (this.#socket.bufferedAmount < MAX_UNSENT_BYTES) this.#socket.pong(data)
  }
}
