// Watches the frames of a WebSocket connection on the socket below, where MQTT's own bytes cannot be told apart.

import type { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocketWalker } from '../decode/websocket.js'
import type { ByteMethods } from './connection.js'
import type { Placement } from './placement.js'

/**
 * Tells both directions where frames end. To be called when the upgrade was answered and before any
 * byte of MQTT.
 *
 * @param onTrouble called when a frame is not understood, such as a compressed one
 * @returns why the connection is none whose frames can be seen: they are within TLS, or some have gone by
 */
export function watchFrames(
  connection: Duplex,
  request: IncomingMessage,
  inbound: Placement,
  outbound: Placement,
  onTrouble: () => void
): 'tls-websocket' | 'carrier' | undefined {
  const socket = request.socket as Socket & { encrypted?: boolean }
  if (socket.encrypted === true) return 'tls-websocket'
  if (!(socket instanceof Socket) || socket.destroyed) return 'carrier'
  if (connection.readableLength > 0 || connection.writableLength > 0 || socket.readableLength > 0) return 'carrier'
  const read = walkInto(inbound, onTrouble)
  const write = walkInto(outbound, onTrouble)
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
  // Here and not at `_write`, which comes later when the socket is busy: frames are known once they are sent.
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

function walkInto(placement: Placement, onTrouble: () => void): (bytes: Uint8Array) => void {
  const walker = new WebSocketWalker()
  return bytes => {
    const wasMalformed = walker.malformed
    walker.push(bytes, (frameLength, dataLength) => {
      placement.unit(dataLength, frameLength)
    })
    if (walker.malformed && !wasMalformed) onTrouble()
  }
}
