// HTTP server of a WebSocket listener: upgrades requests to MQTT over WebSocket.

import { createServer, STATUS_CODES, type IncomingMessage, type Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import type { ListenerSettings } from './accepted-connection.js'
import { isOriginAllowed } from './origin.js'
import { WebSocketStream } from './web-socket-stream.js'

/** `mqtt` [MQTT-6.0.0-3], and the one of MQTT 3.1 clients. */
const SUBPROTOCOLS = ['mqtt', 'mqttv3.1']
/** Smallest frame limit, bytes: a frame may hold several packets even if the packet limit is small. */
const MIN_FRAME_LIMIT = 65_536

/** Receives upgraded and refused requests. */
export interface UpgradeListener {
  onUpgrade: (stream: WebSocketStream, request: IncomingMessage) => void
  onRefused: (request: IncomingMessage, reason: string) => void
}

/**
 * Creates an HTTP server that only accepts upgrades. Pass connections to it by emitting `connection`.
 *
 * @param packetSize largest MQTT packet, bytes; a larger frame is rejected by its header
 */
export function upgradeServer(settings: ListenerSettings, packetSize: number, listener: UpgradeListener): Server {
  const webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    // Compressed frames cost memory, and the tap cannot read them.
    perMessageDeflate: false,
    maxPayload: Math.max(packetSize, MIN_FRAME_LIMIT),
    autoPong: false,
    handleProtocols: offered => SUBPROTOCOLS.find(name => offered.has(name)) ?? false
  })
  const refuse = (request: IncomingMessage, socket: Duplex, status: number, reason: string): void => {
    listener.onRefused(request, reason)
    socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () =>
      socket.destroy()
    )
  }
  const server = createServer((request, response) => {
    listener.onRefused(request, 'not a WebSocket request')
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
      refuse(request, socket, 404, 'wrong path')
    else if (!isOriginAllowed(origin, host, settings.origins)) refuse(request, socket, 403, 'origin not allowed')
    else if (!offered.split(',').some(name => SUBPROTOCOLS.includes(name.trim())))
      refuse(request, socket, 400, 'no mqtt subprotocol')
    else
      webSockets.handleUpgrade(request, socket, head, ws => {
        listener.onUpgrade(new WebSocketStream(ws), request)
      })
  })
  return server
}
