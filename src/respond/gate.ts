// Stands in Aedes' hooks: keeps banned clients out, silences those who were thrown out, guards `$SYS`.

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Aedes, Client } from 'aedes'
import { truncatedText } from '../observe/entry-ring.js'
import type { ObservedConnection, Observer } from '../observe/observer.js'
import { originOf } from '../record.js'
import { AllowList } from './allow-list.js'
import type { BanList } from './bans.js'
import type { BrokerControl, Offender } from './response.js'

const SYS_PREFIX = '$SYS/'
/** Time a client of MQTT 5 has to take the reason of its disconnection before the socket is destroyed. */
const GOODBYE_MS = 250
/** "Administrative action" [MQTT 5, 3.14.2.1]. */
const ADMINISTRATIVE_ACTION = 0x98

/** What the status shows of the gate. */
export interface GateCounters {
  /** Connections closed by a response. */
  expelled: number
  /** Connections and CONNECTs refused because of a ban. */
  refused: number
  /** Clients that came past the observer: their listener was made before the plug-in. */
  unobserved: number
}

/** The hooks of Aedes that the gate stands in. Each calls the hook it found, so a user's own stays in force. */
type Hooks = Pick<Aedes, 'handle' | 'preConnect' | 'authenticate' | 'authorizePublish' | 'authorizeSubscribe'>

/** One function per hook; nothing here waits for the detection. */
export class Gate implements BrokerControl {
  readonly counters: GateCounters = { expelled: 0, refused: 0, unobserved: 0 }
  readonly #found: Hooks
  readonly #own: Hooks
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
    const { handle, preConnect, authenticate, authorizePublish, authorizeSubscribe } = aedes
    this.#found = { handle, preConnect, authenticate, authorizePublish, authorizeSubscribe }
    this.#own = {
      handle: (stream, request) => this.#accept(stream, request),
      preConnect: this.#preConnect,
      authenticate: this.#authenticate,
      authorizePublish: this.#authorizePublish,
      authorizeSubscribe: this.#authorizeSubscribe
    }
    Object.assign(aedes, this.#own)
  }

  /** Gives the hooks back as they were found; one that was set over ours meanwhile stays. */
  remove(): void {
    const aedes = this.#aedes
    const found = this.#found
    const own = this.#own
    for (const name of Object.keys(found) as (keyof Hooks)[])
      if (aedes[name] === own[name]) Object.assign(aedes, { [name]: found[name] })
  }

  expel(id: number): boolean {
    const connection = this.#observer.get(id)
    if (connection === undefined || this.#expelled.has(connection.stream)) return false
    if (this.allow.has(originOf(connection).address, connection.clientId ?? null)) return false
    this.#expelled.add(connection.stream)
    this.counters.expelled++
    sendAway(connection.stream)
    return true
  }

  hasBystanders({ address, clientId, connections }: Offender): boolean {
    for (const other of this.#observer.live()) {
      const same =
        connections.includes(other.id) || this.#expelled.has(other.stream) || (other.clientId ?? null) === clientId
      if (originOf(other).address === address && !same) return true
    }
    return false
  }

  #accept(stream: Duplex, request?: IncomingMessage): Client {
    const connection = this.#observer.accept(stream, request)
    const client = this.#found.handle.call(this.#aedes, stream, request)
    const address = originOf(connection).address
    // Who is allowed by its client id has yet to say it.
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
    else if (this.#isBarred(originOf(connection).address, truncatedText(packet.clientId))) {
      this.counters.refused++
      this.#onRefused(originOf(connection).address, packet.clientId)
      // Without an Error Aedes would leave the socket open for ever.
      callback(new Error('banned'), false)
      return
    }
    this.#found.preConnect.call(this.#aedes, client, packet, callback)
  }

  readonly #authenticate: Hooks['authenticate'] = (client, username, password, callback) => {
    const connection = this.#connectionOf(client)
    if (connection !== undefined) this.#observer.identify(connection, client.id, username ?? '')
    this.#found.authenticate.call(this.#aedes, client, username, password, callback)
  }

  /** The will of a thrown-out client comes through here as well, and is refused. */
  readonly #authorizePublish: Hooks['authorizePublish'] = (client, packet, callback) => {
    const refusal = (): Error | null =>
      client !== null && this.#isExpelled(client) ? new Error('the client was thrown out') : null
    const refused = refusal()
    if (refused !== null) callback(refused)
    else if (packet.topic.startsWith(SYS_PREFIX)) callback(new Error(`${SYS_PREFIX} topics are reserved`))
    // The hook may take its time, and the client be thrown out meanwhile.
    else
      this.#found.authorizePublish.call(this.#aedes, client, packet, error => {
        callback(error ?? refusal())
      })
  }

  readonly #authorizeSubscribe: Hooks['authorizeSubscribe'] = (client, subscription, callback) => {
    if (this.#isExpelled(client)) callback(new Error('the client was thrown out'))
    else this.#found.authorizeSubscribe.call(this.#aedes, client, subscription, callback)
  }

  #isBarred(address: string, clientId: string): boolean {
    return this.bans.coversClient(address, clientId) && !this.allow.has(address, clientId)
  }

  #connectionOf(client: Client): ObservedConnection | undefined {
    return this.#observer.of(client.conn)
  }

  #isExpelled(client: Client): boolean {
    return this.#expelled.has(client.conn)
  }
}

/** MQTT 5 clients are told why; whoever does not read is cut off all the same. */
function sendAway(stream: Duplex & { client?: Client }): void {
  const { client } = stream
  if (client?.version !== 5 || typeof client.disconnect !== 'function') {
    stream.destroy()
    return
  }
  client.disconnect({ reasonCode: ADMINISTRATIVE_ACTION })
  const deadline = setTimeout(() => {
    stream.destroy()
  }, GOODBYE_MS)
  stream.once('close', () => {
    clearTimeout(deadline)
  })
}
