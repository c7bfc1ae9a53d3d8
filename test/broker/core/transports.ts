// A broker with a listener for each transport, and raw connections to it.

import { once } from 'node:events'
import { existsSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import type { Duplex } from 'node:stream'
import tls from 'node:tls'
import type { Test } from 'tap'
import { createWebSocketStream, WebSocket } from 'ws'
import { programMissing } from '../../support/programs.js'
import { makeCertificates } from '../listeners/certificates.js'
import { startListening, type Listening } from '../listeners/listening.js'

/** Transports of MQTT. */
export type Transport = 'TCP' | 'TLS' | 'WebSocket'

/** All transports; TLS only if openssl is available for the certificate. */
export const TRANSPORTS: readonly Transport[] =
  programMissing('openssl') === false ? ['TCP', 'TLS', 'WebSocket'] : ['TCP', 'WebSocket']

const LISTENERS: Readonly<Record<Transport, readonly string[]>> = {
  TCP: [],
  TLS: ['tls: { cert: broker.pem, key: broker.key }'],
  WebSocket: ['protocol: websockets']
}

/** A broker with a listener for each transport. */
export interface TransportBroker extends Listening {
  /** Opens a connection. */
  open: (transport: Transport) => Promise<Duplex>
}

/** Broker settings. By default, message rate and connections per address are not limited. */
export interface BrokerSettings {
  limits?: Readonly<Record<string, number | string | null>>
  /** Further lines of the configuration. */
  more?: readonly string[]
}

/** Starts a broker in a folder; in the same folder again, it uses the data of the previous one. */
export async function startOnAllTransports(
  test: Test,
  folder: string,
  { limits, more = [] }: BrokerSettings = {}
): Promise<TransportBroker> {
  if (TRANSPORTS.includes('TLS') && !existsSync(path.join(folder, 'broker.pem'))) makeCertificates(folder, ['broker'])
  const broker = await startListening(
    test,
    folder,
    TRANSPORTS.map(transport => LISTENERS[transport]),
    [`limits: ${JSON.stringify({ messagesPerSecond: null, connectionsPerAddress: null, ...limits })}`, ...more]
  )
  return { ...broker, open: transport => OPENERS[transport](broker.ports[TRANSPORTS.indexOf(transport)] ?? 0) }
}

const OPENERS: Readonly<Record<Transport, (port: number) => Promise<Duplex>>> = {
  TCP: async port => {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    return socket
  },
  TLS: async port => {
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
    await once(socket, 'secureConnect')
    socket.setNoDelay(true)
    return socket
  },
  WebSocket: async port => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, 'mqtt')
    await once(socket, 'open')
    const stream = createWebSocketStream(socket)
    // Like a socket.
    return stream.once('end', () => {
      stream.destroy()
    })
  }
}
