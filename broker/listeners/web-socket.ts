// The WebSocket side of a listener: HTTP until the upgrade, MQTT after it.

import { createServer, STATUS_CODES, type IncomingMessage, type Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import type { ListenerSettings } from './accepted-connection.js'
import { isOriginAllowed } from './origin.js'
import { WebSocketStream } from './web-socket-stream.js'

/** `mqtt` [MQTT-6.0.0-3]; the other is what clients of MQTT 3.1 ask for. */
const SUBPROTOCOLS = ['mqtt', 'mqttv3.1']
/** A frame may hold several packets, however small the largest packet is. */
const MIN_FRAME_LIMIT = 65_536

/** What becomes of a request. */
export interface UpgradeListener {
  onUpgrade: (stream: WebSocketStream, request: IncomingMessage) => void
  onRefused: (request: IncomingMessage, reason: string) => void
}

/**
 * An HTTP server that only upgrades; connections are given to it by emitting `connection`.
 *
 * @param packetSize largest MQTT packet, bytes: a longer frame is cut at its header
 */
export function upgradeServer(settings: ListenerSettings, packetSize: number, listener: UpgradeListener): Server {
  const webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    // Compressed frames cost memory, and hide from the tap what they carry.
    perMessageDeflate: false,
    maxPayload: Math.max(packetSize, MIN_FRAME_LIMIT),
    autoPong: false,
    handleProtocols: offered => SUBPROTOCOLS.find(one => offered.has(one)) ?? false
  })
  const refuse = (request: IncomingMessage, socket: Duplex, status: number, reason: string): void => {
    listener.onRefused(request, reason)
    socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () =>
      socket.destroy()
    )
  }
  const server = createServer((request, response) => {
    listener.onRefused(request, 'an HTTP request that asks for no WebSocket')
    response
      .writeHead(426, { Connection: 'close', Upgrade: 'websocket' })
      .end('This port speaks MQTT over WebSocket.\n')
  })
  server.on('clientError', (_error, socket) => {
    socket.destroy()
  })
  server.on('upgrade', (request, socket, head) => {
    const { origin, host, 'sec-websocket-protocol': offered = '' } = request.headers
    if (settings.path !== null && request.url?.split('?')[0] !== settings.path)
      refuse(request, socket, 404, 'another path')
    else if (!isOriginAllowed(origin, host, settings.origins)) refuse(request, socket, 403, 'a foreign origin')
    else if (!offered.split(',').some(one => SUBPROTOCOLS.includes(one.trim())))
      refuse(request, socket, 400, 'no subprotocol mqtt')
    else
      webSockets.handleUpgrade(request, socket, head, ws => {
        listener.onUpgrade(new WebSocketStream(ws), request)
      })
  })
  return server
}
