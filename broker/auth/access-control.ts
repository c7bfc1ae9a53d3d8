// Authenticates clients and checks their topic permissions in the hooks of Aedes.

import type { Aedes, AedesPublishPacket, Client, PublishPacket } from 'aedes-2'
import type { Logger } from 'pino'
import { evictOldest } from '../../src/bounded-map.js'
import { PublishDenied } from '../core/publish-denied.js'
import { printable } from '../terminal/printable.js'
import type { Access } from './acl.js'
import { CredentialFiles, type ListenerAuth, type ListenerAuthSettings } from './credentials.js'
import { isStillAuthorized, type ClientOrigin, type Identity } from './identity.js'
import { LoginQueue } from './login-queue.js'
import { isPassword } from './password-hash.js'
import { CONTROL_REQUEST, CONTROL_RESPONSE, isReserved, namesClients } from './reserved-topics.js'

/** CONNACK return codes [MQTT-3.2.2.3]; Aedes maps them to MQTT 5 reason codes. */
const REFUSAL = { serverUnavailable: 3, badUserNameOrPassword: 4, notAuthorized: 5 } as const

/** Client ids whose last identity is kept. Sessions beyond that are checked when the client reconnects. */
const MAX_REMEMBERED = 10_000

/** Counts of denied requests. */
export interface AccessCounters {
  /** Refused CONNECTs. */
  refused: number
  /** Denied publishes, wills included. */
  deniedPublishes: number
  /** Messages withheld from a subscriber. */
  deniedDeliveries: number
}

/** Fields of a client that Aedes does not declare. */
interface ClientInternals {
  /** The will of the CONNECT, until the client is authenticated. */
  _will?: PublishPacket | null
}

/** Returns the origin of a client; undefined if it did not connect through a listener. */
export type OriginOf = (client: Client) => ClientOrigin | undefined

/** Authentication and authorization by the password and ACL files of the settings. */
export class AccessControl {
  readonly counters: AccessCounters = { refused: 0, deniedPublishes: 0, deniedDeliveries: 0 }
  readonly logins = new LoginQueue()
  readonly #identities = new WeakMap<Client, Identity>()
  readonly #clients = new Set<Client>()
  /** Last identity of each client id, most recent at the end: for sessions that outlive the connection. */
  readonly #latest = new Map<string, Identity>()
  /** By listener key. */
  #listenerAuth: ReadonlyMap<string, ListenerAuth>
  readonly #originOf: OriginOf
  readonly #log: Logger
  readonly #messageSize: number

  private constructor(
    listenerAuth: ReadonlyMap<string, ListenerAuth>,
    originOf: OriginOf,
    log: Logger,
    /** Largest payload of a message, bytes. */
    messageSize: number
  ) {
    this.#listenerAuth = listenerAuth
    this.#originOf = originOf
    this.#log = log
    this.#messageSize = messageSize
  }

  /**
   * Reads the password and ACL files.
   *
   * @param settings by listener key
   * @throws OperatorError `password-file` or `acl-file`
   */
  static async open(
    settings: ReadonlyMap<string, ListenerAuthSettings>,
    originOf: OriginOf,
    log: Logger,
    messageSize = Infinity
  ): Promise<AccessControl> {
    return new AccessControl(await readListenerAuth(settings, log), originOf, log, messageSize)
  }

  /** Returns the identity of a client; undefined until it is authenticated. */
  identityOf(client: Client): Identity | undefined {
    return this.#identities.get(client)
  }

  /**
   * Reads the files again. If one is invalid, nothing changes.
   *
   * @returns a function that applies them: it disconnects clients that could no longer log in and returns their number;
   *   the new ACL applies to the others at once
   * @throws OperatorError `password-file` or `acl-file`
   */
  async reload(settings: ReadonlyMap<string, ListenerAuthSettings>): Promise<() => number> {
    const listenerAuth = await readListenerAuth(settings, this.#log)
    return () => this.#apply(listenerAuth)
  }

  /** Whether a client, with its last identity, may receive messages of a topic; true if that identity is unknown. */
  mayReceive(clientId: string, topic: string): boolean {
    const identity = this.#latest.get(clientId)
    return identity === undefined || topic === CONTROL_RESPONSE || this.#mayAccess('read', topic, identity)
  }

  /** Whether a client may send control requests to the broker. */
  mayControl(client: Client): boolean {
    return this.#mayWrite(client, CONTROL_REQUEST)
  }

  #apply(listenerAuth: ReadonlyMap<string, ListenerAuth>): number {
    // A listener removed from the settings stays open until the restart, with its previous rules.
    this.#listenerAuth = new Map([...this.#listenerAuth, ...listenerAuth])
    let disconnected = 0
    for (const client of this.#clients) {
      const identity = this.#identities.get(client)
      const auth = identity === undefined ? undefined : this.#listenerAuth.get(identity.listener)
      if (identity === undefined || auth === undefined || isStillAuthorized(identity, auth)) continue
      client.conn.destroy()
      disconnected++
    }
    return disconnected
  }

  /** Hooks authentication. Call it before the detection is attached, whose hook must see each CONNECT first. */
  hookLogins(aedes: Aedes): void {
    const { authenticate } = aedes
    aedes.authenticate = (client, username, password, done) => {
      this.#login(client, username ?? null, password ?? Buffer.alloc(0)).then(
        outcome => {
          if (typeof outcome === 'number') {
            this.counters.refused++
            done(Object.assign(new Error('not authorized'), { returnCode: outcome }), false)
            return
          }
          this.#admit(client, outcome)
          authenticate.call(aedes, client, username, password, done)
        },
        (error: unknown) => {
          done(Object.assign(error as Error, { returnCode: REFUSAL.serverUnavailable }), false)
        }
      )
    }
  }

  /** Hooks authorization. Call it after the detection is attached, which disconnects clients that publish to `$SYS`. */
  hookTopics(aedes: Aedes): void {
    const { authorizePublish, authorizeForward } = aedes
    aedes.authorizePublish = (client, packet, done) => {
      // No client: published by the broker itself, or a will, which was checked at the CONNECT.
      // A control request is authorised when the broker answers it.
      const isAllowed =
        client === null ||
        packet.topic === CONTROL_REQUEST ||
        (this.#mayWrite(client, packet.topic) && this.#fits(packet))
      if (isAllowed) authorizePublish.call(aedes, client, packet, done)
      else this.#refuse(packet, done)
    }
    aedes.authorizeForward = (client, packet) => {
      if (packet.topic === CONTROL_RESPONSE || this.#mayRead(client, packet))
        return authorizeForward.call(aedes, client, packet)
      this.counters.deniedDeliveries++
      return null
    }
  }

  async #login(client: Client, username: string | null, password: Buffer): Promise<Identity | number> {
    const origin = this.#originOf(client)
    const auth = origin === undefined ? undefined : this.#listenerAuth.get(origin.listener)
    if (origin === undefined || auth === undefined) return REFUSAL.notAuthorized
    const identity: Identity = {
      username,
      clientId: client.id,
      listener: origin.listener,
      isProven: false,
      isLocal: origin.isLocal,
      hash: null
    }
    if (auth.identityAsUsername) {
      if (origin.certificateName === null) return REFUSAL.badUserNameOrPassword
      return { ...identity, username: origin.certificateName, isProven: true }
    }
    if (username === null || auth.passwords === null) return auth.allowAnonymous ? identity : REFUSAL.notAuthorized
    const { users, unknown } = auth.passwords
    const hash = users.get(username) ?? unknown
    const outcome = await this.logins.verify(
      origin.address,
      () => isPassword(password, hash),
      () => !client.closed
    )
    if (outcome === 'busy') return REFUSAL.serverUnavailable
    if (outcome !== 'accepted' || hash === unknown) return REFUSAL.notAuthorized
    return { ...identity, isProven: true, hash }
  }

  #admit(client: Client, identity: Identity): void {
    this.#identities.set(client, identity)
    this.#clients.add(client)
    this.#remember(identity)
    client.conn.once('close', () => {
      this.#clients.delete(client)
    })
    // A will stays in the store until its client disconnects, and may outlive the ACL that allowed it.
    const internals = client as unknown as ClientInternals
    if (internals._will !== null && internals._will !== undefined && !this.#mayWrite(client, internals._will.topic)) {
      this.counters.deniedPublishes++
      this.#log.debug(
        { client: client.id, topic: internals._will.topic },
        'Will dropped: the client may not publish to its topic.'
      )
      internals._will = null
    }
  }

  #remember(identity: Identity): void {
    this.#latest.delete(identity.clientId)
    evictOldest(this.#latest, MAX_REMEMBERED)
    this.#latest.set(identity.clientId, identity)
  }

  #mayWrite(client: Client, topic: string): boolean {
    const identity = this.#identities.get(client)
    if (identity === undefined || isReserved(topic)) return false
    return this.#mayAccess('write', topic, identity)
  }

  #mayRead(client: Client, { topic }: AedesPublishPacket): boolean {
    const identity = this.#identities.get(client)
    if (identity === undefined) return false
    return this.#mayAccess('read', topic, identity)
  }

  #mayAccess(access: Access, topic: string, identity: Identity): boolean {
    const acl = this.#listenerAuth.get(identity.listener)?.acl ?? null
    if (acl !== null) return acl.allows(access, topic, identity)
    return !namesClients(topic) || identity.isProven || identity.isLocal
  }

  #fits({ payload }: PublishPacket): boolean {
    return payload.length <= this.#messageSize
  }

  #refuse(packet: PublishPacket, done: (error?: Error | null) => void): void {
    this.counters.deniedPublishes++
    done(new PublishDenied(`not authorized to publish to ${printable(packet.topic)}`))
  }
}

async function readListenerAuth(
  settings: ReadonlyMap<string, ListenerAuthSettings>,
  log: Logger
): Promise<ReadonlyMap<string, ListenerAuth>> {
  const files = new CredentialFiles()
  const listenerAuth = new Map<string, ListenerAuth>()
  for (const [listener, auth] of settings) listenerAuth.set(listener, await files.open(auth))
  for (const { place, problem } of files.skipped) log.warn({ place }, `Password file line ignored: ${problem}.`)
  return listenerAuth
}
