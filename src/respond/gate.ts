// Hooks into Aedes: refuses banned clients, ignores packets of disconnected ones, protects `$SYS`.

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Aedes, Client } from 'aedes'
import { InstalledHooks } from '../hooks.js'
import { truncatedText } from '../observe/entry-ring.js'
import type { ObservedConnection, Observer } from '../observe/observer.js'
import { clientEndpoint } from '../record.js'
import { AllowList } from './allow-list.js'
import type { BanList } from './bans.js'
import type { BrokerControl, Offender } from './response.js'

const SYS_PREFIX = '$SYS/'
/** Time for an MQTT 5 client to read the reason code of its DISCONNECT before the socket is destroyed. */
const DISCONNECT_TIMEOUT_MS = 250
/** "Administrative action" [MQTT 5, 3.14.2.1]. */
const ADMINISTRATIVE_ACTION = 0x98

/** Counters of the gate for the status. */
export interface GateCounters {
  /** Connections closed by a response. */
  expelled: number
  /** Connections and CONNECTs refused because of a ban. */
  refused: number
  /** Clients that bypassed the observer: their listener was created before the plug-in. */
  unobserved: number
}

/** The Aedes hooks that the gate wraps. Each calls the hook it replaced, so an application's own hooks still apply. */
type Hooks = Pick<Aedes, 'handle' | 'preConnect' | 'authenticate' | 'authorizePublish' | 'authorizeSubscribe'>

/** Wraps each hook with one function. None waits for the detection. */
export class Gate implements BrokerControl {
  readonly counters: GateCounters = { expelled: 0, refused: 0, unobserved: 0 }
  readonly #hooks: InstalledHooks<Hooks>
  readonly #expelled = new WeakSet<Duplex>()
  readonly #aedes: Aedes
  readonly #observer: Observer
  readonly #onRefused: (address: string, clientId: string | null) => void

  constructor(
    aedes: Aedes,
    observer: Observer,
    readonly bans: BanList,
    readonly allow = new AllowList(),
    onRefused: (address: string, clientId: string | null) => void = () => {}
  ) {
    this.#aedes = aedes
    this.#observer = observer
    this.#onRefused = onRefused
    this.#hooks = new InstalledHooks<Hooks>(aedes, {
      handle: (stream, request) => this.#accept(stream, request),
      preConnect: this.#preConnect,
      authenticate: this.#authenticate,
      authorizePublish: this.#authorizePublish,
      authorizeSubscribe: this.#authorizeSubscribe
    })
  }

  /** Restores the original hooks. */
  remove(): void {
    this.#hooks.remove()
  }

  expel(id: number): boolean {
    const connection = this.#observer.get(id)
    if (connection === undefined || this.#expelled.has(connection.stream)) return false
    if (this.allow.has(clientEndpoint(connection).address, connection.clientId ?? null)) return false
    this.#expelled.add(connection.stream)
    this.counters.expelled++
    disconnect(connection.stream)
    return true
  }

  hasOtherClients({ address, clientId, connections }: Offender): boolean {
    for (const other of this.#observer.live()) {
      const isOffender =
        connections.includes(other.id) || this.#expelled.has(other.stream) || (other.clientId ?? null) === clientId
      if (clientEndpoint(other).address === address && !isOffender) return true
    }
    return false
  }

  #accept(stream: Duplex, request?: IncomingMessage): Client {
    const connection = this.#observer.accept(stream, request)
    const client = this.#hooks.original.handle.call(this.#aedes, stream, request)
    const address = clientEndpoint(connection).address
    // A client that is allowed by its client id has not sent it yet.
    if (this.bans.coversAddress(address) && !this.allow.hasAddress(address) && !this.allow.namesClients) {
      this.counters.refused++
      this.#onRefused(address, null)
      stream.destroy()
    }
    return client
  }

  readonly #preConnect: Hooks['preConnect'] = (client, packet, callback) => {
    const connection = this.#connectionOf(client)
    if (connection === undefined) this.counters.unobserved++
    else if (this.#isBanned(clientEndpoint(connection).address, truncatedText(packet.clientId))) {
      this.counters.refused++
      this.#onRefused(clientEndpoint(connection).address, packet.clientId)
      // Without an Error, Aedes would never close the socket.
      callback(new Error('banned'), false)
      return
    }
    this.#hooks.original.preConnect.call(this.#aedes, client, packet, callback)
  }

  readonly #authenticate: Hooks['authenticate'] = (client, username, password, callback) => {
    const connection = this.#connectionOf(client)
    if (connection !== undefined) this.#observer.identify(connection, client.id, username ?? '')
    this.#hooks.original.authenticate.call(this.#aedes, client, username, password, callback)
  }

  /** Also called for the will of a disconnected client, and rejects it. */
  readonly #authorizePublish: Hooks['authorizePublish'] = (client, packet, callback) => {
    const refusal = (): Error | null =>
      client !== null && this.#isExpelled(client) ? new Error('the client was disconnected') : null
    const refused = refusal()
    if (refused !== null) callback(refused)
    else if (packet.topic.startsWith(SYS_PREFIX)) callback(new Error(`${SYS_PREFIX} topics are reserved`))
    // The client may be disconnected while the hook runs.
    else
      this.#hooks.original.authorizePublish.call(this.#aedes, client, packet, error => {
        callback(error ?? refusal())
      })
  }

  readonly #authorizeSubscribe: Hooks['authorizeSubscribe'] = (client, subscription, callback) => {
    if (this.#isExpelled(client)) callback(new Error('the client was disconnected'))
    else this.#hooks.original.authorizeSubscribe.call(this.#aedes, client, subscription, callback)
  }

  #isBanned(address: string, clientId: string): boolean {
    return this.bans.coversClient(address, clientId) && !this.allow.has(address, clientId)
  }

  #connectionOf(client: Client): ObservedConnection | undefined {
    return this.#observer.of(client.conn)
  }

  #isExpelled(client: Client): boolean {
    return this.#expelled.has(client.conn)
  }
}

/** Destroys the socket. An MQTT 5 client first gets a DISCONNECT with the reason code and some time to read it. */
function disconnect(stream: Duplex & { client?: Client }): void {
  const { client } = stream
  if (client?.version !== 5 || typeof client.disconnect !== 'function') {
    stream.destroy()
    return
  }
  client.disconnect({ reasonCode: ADMINISTRATIVE_ACTION })
  const deadline = setTimeout(() => {
    stream.destroy()
  }, DISCONNECT_TIMEOUT_MS)
  stream.once('close', () => {
    clearTimeout(deadline)
  })
}
