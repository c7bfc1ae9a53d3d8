// Watches the frames of a WebSocket connection on the underlying socket.

import type { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocketWalker } from '../decode/websocket.js'
import type { ByteMethods } from './connection.js'
import type { Placement } from './placement.js'

/**
 * Reports the ends of frames to both placements. Call it after the upgrade response and before any MQTT bytes.
 *
 * @param onFailure called at an unsupported frame, such as a compressed one
 * @returns why the frames cannot be watched: TLS, or bytes were already transferred; undefined if they can
 */
export function watchFrames(
  connection: Duplex,
  request: IncomingMessage,
  inbound: Placement,
  outbound: Placement,
  onFailure: () => void
): 'tls-websocket' | 'carrier' | undefined {
  const socket = request.socket as Socket & { encrypted?: boolean }
  if (socket.encrypted === true) return 'tls-websocket'
  if (!(socket instanceof Socket) || socket.destroyed) return 'carrier'
  if (connection.readableLength > 0 || connection.writableLength > 0 || socket.readableLength > 0) return 'carrier'
  const read = createWalker(inbound, onFailure)
  const write = createWalker(outbound, onFailure)
  for (const [placement, offset] of [
    [inbound, socket.bytesRead],
    [outbound, socket.bytesWritten]
  ] as const) {
    placement.reach(offset)
    placement.start(offset)
  }
  const methods = socket as unknown as ByteMethods
  const push = methods.push
  methods.push = function (chunk, encoding) {
    if (chunk instanceof Uint8Array) read(chunk)
    return push.call(this, chunk, encoding)
  }
  // Override `write`: `_write` is called later when the socket is busy, and a frame must be known when it is sent.
  const methodsOut = socket as unknown as { write: (chunk: unknown, ...rest: unknown[]) => boolean }
  const send = methodsOut.write
  methodsOut.write = function (chunk, ...rest) {
    if (chunk instanceof Uint8Array) write(chunk)
    else if (typeof chunk === 'string')
      write(Buffer.from(chunk, typeof rest[0] === 'string' ? (rest[0] as BufferEncoding) : 'utf8'))
    return send.call(this, chunk, ...rest)
  }
  return undefined
}

function createWalker(placement: Placement, onFailure: () => void): (bytes: Uint8Array) => void {
  const walker = new WebSocketWalker()
  return bytes => {
    const wasMalformed = walker.malformed
    walker.push(bytes, (frameLength, dataLength) => {
      placement.unit(dataLength, frameLength)
    })
    if (walker.malformed && !wasMalformed) onFailure()
  }
}
