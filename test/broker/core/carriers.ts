// A broker with a listener for each carrier, and raw byte connections to it.

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

/** What MQTT is carried by. */
export type Carrier = 'TCP' | 'TLS' | 'WebSocket'

/** All of them; TLS needs openssl, for the broker's certificate. */
export const CARRIERS: readonly Carrier[] =
  programMissing('openssl') === false ? ['TCP', 'TLS', 'WebSocket'] : ['TCP', 'WebSocket']

const LISTENERS: Readonly<Record<Carrier, readonly string[]>> = {
  TCP: [],
  TLS: ['tls: { cert: broker.pem, key: broker.key }'],
  WebSocket: ['protocol: websockets']
}

/** A broker that can be reached over every carrier. */
export interface CarriedBroker extends Listening {
  /** Opens a connection; nothing is sent yet. */
  open: (carrier: Carrier) => Promise<Duplex>
}

/** What a broker is to be told; its clients may be as many and as fast as they like, unless it is told otherwise. */
export interface BrokerSettings {
  limits?: Readonly<Record<string, number | string | null>>
  /** Anything else, as lines. */
  more?: readonly string[]
}

/** Starts one in a folder; in the same folder again, it takes up what the last one left. */
export async function startCarried(
  test: Test,
  folder: string,
  { limits, more = [] }: BrokerSettings = {}
): Promise<CarriedBroker> {
  if (CARRIERS.includes('TLS') && !existsSync(path.join(folder, 'broker.pem'))) makeCertificates(folder, ['broker'])
  const broker = await startListening(
    test,
    folder,
    CARRIERS.map(carrier => LISTENERS[carrier]),
    [`limits: ${JSON.stringify({ messagesPerSecond: null, connectionsPerAddress: null, ...limits })}`, ...more]
  )
  return { ...broker, open: carrier => OPENERS[carrier](broker.ports[CARRIERS.indexOf(carrier)] ?? 0) }
}

const OPENERS: Readonly<Record<Carrier, (port: number) => Promise<Duplex>>> = {
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
    // As a socket is by itself.
    return stream.once('end', () => {
      stream.destroy()
    })
  }
}
