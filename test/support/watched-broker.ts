// A bare Aedes on a free port on loopback with the plug-in attached.

import { once } from 'node:events'
import { createServer, type AddressInfo, type Server } from 'node:net'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { Aedes } from 'aedes'
import { artemis, type Artemis, type ArtemisOptions } from '../../src/index.js'

/** The parts of the status that tests use. */
export interface Status {
  state: string
  failure?: string
  learning?: { phase: string; progress: number; records: number }
  model?: { detector: string; digest: string; rows: { wire: number; broker: number } }
  tap: {
    target: string
    state: string
    reason?: string
    sessions: number
    frames: number
    droppedByKernel?: number
    streams?: { gapBytes: number }
  }
  join: Record<string, number>
  records: { seen: number; scored?: number; own?: number }
  alerts?: { raised: number; open: number }
  ring: { dropped: number }
  response: { action: string; expelled: number; refused: number; unobserved: number; bans: number }
  thread: { restarts: number }
}

/** A broker with the plug-in. */
export interface WatchedBroker {
  readonly aedes: Aedes
  readonly ids: Artemis
  readonly port: number
  /** Resolves with the first status that satisfies the condition; rejects with the latest status after a timeout. */
  until(satisfies: (status: Status) => boolean, what: string): Promise<Status>
  /** Safe to call twice. */
  close(): Promise<void>
}

/** Much longer than any state change takes on a slow machine: only a bug reaches it. */
const TIMEOUT_MS = 60_000

/**
 * For tests that expect every frame to be joined: on a busy machine the broker may not get to read for a second or
 * more.
 */
export const LONG_HOLD_CAPS = { holdMs: 30_000 }

/** Creates a server that passes its connections to `handle`. */
export type MakeServer = (handle: (stream: Duplex, request?: IncomingMessage) => void) => Server

/** Starts a broker; sets `options.ports`. */
export async function startWatchedBroker(
  options: ArtemisOptions,
  makeServer: MakeServer = createServer
): Promise<WatchedBroker> {
  const aedes = await Aedes.createBroker()
  // Looks up `aedes.handle` at each connection: the plug-in, which needs the port, replaces it after this.
  const server = makeServer((stream, request) => {
    aedes.handle(stream, request)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const ids = artemis(aedes, { ...options, ports: [port] })
  let closing = false
  return {
    aedes,
    ids,
    port,
    until: async (satisfies, what) => await statusUntil(ids, satisfies, what),
    async close() {
      if (closing) return
      closing = true
      await ids.close()
      const closed = once(server, 'close')
      server.close()
      await new Promise<void>(resolve => {
        aedes.close(resolve)
      })
      await closed
    }
  }
}

async function statusUntil(ids: Artemis, satisfies: (status: Status) => boolean, what: string): Promise<Status> {
  return await new Promise((resolve, reject) => {
    const check = (status: object): void => {
      if (!satisfies(status as Status)) return
      stop()
      resolve(status as Status)
    }
    const deadline = setTimeout(() => {
      stop()
      reject(
        new Error(`Timed out after ${TIMEOUT_MS} ms waiting for: ${what}; status: ${JSON.stringify(ids.status())}`)
      )
    }, TIMEOUT_MS)
    function stop(): void {
      clearTimeout(deadline)
      ids.off('status', check)
    }
    ids.on('status', check)
  })
}
