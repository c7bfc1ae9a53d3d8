// Which clients there are, connected or not, and how many subscriptions each holds.

import type { Aedes, Client } from 'aedes'
import type { Store } from '../persistence.js'

/** The parts of a client that Aedes does not declare. */
interface ClientInternals {
  clean: boolean
  closed: boolean
  subscriptions: object
}

/** One session. */
interface Session {
  isConnected: boolean
  subscriptions: number
}

/** The sessions of all clients, those of earlier runs included. */
export class Sessions {
  /** The most sessions there have been at a time. */
  maximum = 0
  /** Sessions that ended because their time was over. */
  expired = 0
  private readonly sessions = new Map<string, Session>()
  private connected = 0

  /** Reads which sessions the store holds, and follows those of `aedes` from now on. */
  static async open (aedes: Aedes, store: Store): Promise<Sessions> {
    const sessions = new Sessions()
    sessions.follow(aedes)
    for await (const clientId of store.subscribers()) sessions.of(clientId).subscriptions++
    sessions.maximum = sessions.sessions.size
    return sessions
  }

  /** How many there are: with a connection, and in all. */
  get counts (): { connected: number, total: number, subscriptions: number } {
    let subscriptions = 0
    for (const session of this.sessions.values()) subscriptions += session.subscriptions
    return { connected: this.connected, total: this.sessions.size, subscriptions }
  }

  private follow (aedes: Aedes): void {
    aedes.on('client', client => {
      const session = this.of(client.id)
      if (!session.isConnected) this.connected++
      session.isConnected = true
      session.subscriptions = held(client)
      this.maximum = Math.max(this.maximum, this.sessions.size)
    })
    aedes.on('clientDisconnect', client => {
      const session = this.of(client.id)
      if (session.isConnected) this.connected--
      session.isConnected = false
      if ((client as unknown as ClientInternals).clean) this.sessions.delete(client.id)
    })
    const recount = (client: Client): void => {
      // Leaving is not unsubscribing.
      if (client !== null && !(client as unknown as ClientInternals).closed) this.of(client.id).subscriptions = held(client)
    }
    aedes.on('subscribe', (_subscriptions, client) => { recount(client) })
    aedes.on('unsubscribe', (_filters, client) => { recount(client) })
    // An event that Aedes emits and does not declare.
    const emitter: NodeJS.EventEmitter = aedes
    emitter.on('sessionExpired', ({ id }: Client) => { if (this.sessions.delete(id)) this.expired++ })
  }

  private of (clientId: string): Session {
    let session = this.sessions.get(clientId)
    if (session === undefined) this.sessions.set(clientId, session = { isConnected: false, subscriptions: 0 })
    return session
  }
}

function held (client: Client): number {
  return Object.keys((client as unknown as ClientInternals).subscriptions).length
}
