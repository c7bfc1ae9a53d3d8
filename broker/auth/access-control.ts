// Stands in Aedes' hooks: who may come in, and which topics each may write to and read from.

import type { Aedes, AedesPublishPacket, Client, PublishPacket } from 'aedes'
import type { Logger } from 'pino'
import { PublishDenied } from '../core/publish-denied.js'
import { printable } from '../terminal/printable.js'
import type { Access } from './acl.js'
import { CredentialFiles, type ListenerAuth, type ListenerAuthSettings } from './credentials.js'
import { isStillAuthorized, type ClientOrigin, type Identity } from './identity.js'
import { LoginQueue } from './login-queue.js'
import { isPassword } from './password-hash.js'
import { CONTROL_REQUEST, CONTROL_RESPONSE, isReserved, namesClients } from './reserved-topics.js'

/** Return codes of a CONNACK [MQTT-3.2.2.3]; Aedes turns them into the reason codes of MQTT 5. */
const REFUSAL = { serverUnavailable: 3, badUserNameOrPassword: 4, notAuthorized: 5 } as const

/** Client ids whose latest user is known; a longer absent session gets what it may have when it comes back. */
const MAX_REMEMBERED = 10_000

/** What the status shows of it. */
export interface AccessCounters {
  /** CONNECTs that were refused. */
  refused: number
  /** Messages that a client was not allowed to publish. */
  unwritten: number
  /** Messages that a subscriber was not allowed to have. */
  unread: number
}

/** The parts of a client that Aedes does not declare. */
interface ClientInternals {
  /** What the CONNECT said, until the client is let in. */
  _will?: PublishPacket | null
}

/** Finds out how a client came in; undefined for one that came past the listeners. */
export type OriginOf = (client: Client) => ClientOrigin | undefined

/** Who may do what, after the files that the settings name. */
export class AccessControl {
  readonly counters: AccessCounters = { refused: 0, unwritten: 0, unread: 0 }
  readonly logins = new LoginQueue()
  readonly #identities = new WeakMap<Client, Identity>()
  readonly #clients = new Set<Client>()
  /** Who had each client id last, the latest at the end: for sessions that outlast the connection. */
  readonly #latest = new Map<string, Identity>()
  #doors: ReadonlyMap<string, ListenerAuth>
  readonly #arrivalOf: OriginOf
  readonly #log: Logger
  readonly #messageSize: number

  private constructor(
    doors: ReadonlyMap<string, ListenerAuth>,
    arrivalOf: OriginOf,
    log: Logger,
    /** Largest payload of a message, bytes. */
    messageSize: number
  ) {
    this.#doors = doors
    this.#arrivalOf = arrivalOf
    this.#log = log
    this.#messageSize = messageSize
  }

  /**
   * Reads the files.
   *
   * @param settings what each listener asks for, by its key
   * @throws OperatorError `password-file` or `acl-file`
   */
  static async open(
    settings: ReadonlyMap<string, ListenerAuthSettings>,
    arrivalOf: OriginOf,
    log: Logger,
    messageSize = Infinity
  ): Promise<AccessControl> {
    return new AccessControl(await openDoors(settings, log), arrivalOf, log, messageSize)
  }

  /** Who a client is; undefined before it is let in. */
  identityOf(client: Client): Identity | undefined {
    return this.#identities.get(client)
  }

  /**
   * Reads the files again; where one is bad, all stays as it was.
   *
   * @returns puts them in force: clients that would not be let in any more are disconnected, and counted; what the
   *   others may do follows the new rules at once
   * @throws OperatorError `password-file` or `acl-file`
   */
  async reload(settings: ReadonlyMap<string, ListenerAuthSettings>): Promise<() => number> {
    const doors = await openDoors(settings, this.#log)
    return () => this.#put(doors)
  }

  /** Whether a client, as it was when it came last, may have a message; true where that is not known. */
  mayWait(clientId: string, topic: string): boolean {
    const identity = this.#latest.get(clientId)
    return identity === undefined || topic === CONTROL_RESPONSE || this.#mayAccess('read', topic, identity)
  }

  /** Whether a client may ask the broker to do something. */
  mayControl(client: Client): boolean {
    return this.#mayWrite(client, CONTROL_REQUEST)
  }

  #put(doors: ReadonlyMap<string, ListenerAuth>): number {
    // A listener that the settings have no more is open until the restart, under the rules it had.
    this.#doors = new Map([...this.#doors, ...doors])
    let gone = 0
    for (const client of this.#clients) {
      const identity = this.#identities.get(client)
      const door = identity === undefined ? undefined : this.#doors.get(identity.listener)
      if (identity === undefined || door === undefined || isStillAuthorized(identity, door)) continue
      client.conn.destroy()
      gone++
    }
    return gone
  }

  /** Decides on logins. To be called before the detection is attached, which hears of every CONNECT first. */
  guardLogins(aedes: Aedes): void {
    const { authenticate } = aedes
    aedes.authenticate = (client, username, password, done) => {
      this.#login(client, username ?? null, password ?? Buffer.alloc(0)).then(
        answer => {
          if (typeof answer === 'number') {
            this.counters.refused++
            done(Object.assign(new Error('not authorized'), { returnCode: answer }), false)
            return
          }
          this.#admit(client, answer)
          authenticate.call(aedes, client, username, password, done)
        },
        (error: unknown) => {
          done(Object.assign(error as Error, { returnCode: REFUSAL.serverUnavailable }), false)
        }
      )
    }
  }

  /**
   * Decides on messages. To be called after the detection is attached, which closes clients that publish under `$SYS`.
   */
  guardTopics(aedes: Aedes): void {
    const { authorizePublish, authorizeForward } = aedes
    aedes.authorizePublish = (client, packet, done) => {
      // Without a client it is the broker's own, or a will that was checked when it was left.
      // And whether a request to the broker itself is granted, its answer says.
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
      this.counters.unread++
      return null
    }
  }

  async #login(client: Client, username: string | null, password: Buffer): Promise<Identity | number> {
    const arrival = this.#arrivalOf(client)
    const door = arrival === undefined ? undefined : this.#doors.get(arrival.listener)
    if (arrival === undefined || door === undefined) return REFUSAL.notAuthorized
    const identity: Identity = {
      username,
      clientId: client.id,
      listener: arrival.listener,
      isProven: false,
      isLocal: arrival.isLocal,
      hash: null
    }
    if (door.identityAsUsername) {
      if (arrival.certificateName === null) return REFUSAL.badUserNameOrPassword
      return { ...identity, username: arrival.certificateName, isProven: true }
    }
    if (username === null || door.passwords === null) return door.allowAnonymous ? identity : REFUSAL.notAuthorized
    const { users, unknown } = door.passwords
    const hash = users.get(username) ?? unknown
    const answer = await this.logins.ask(
      arrival.address,
      () => isPassword(password, hash),
      () => !client.closed
    )
    if (answer === 'busy') return REFUSAL.serverUnavailable
    if (answer !== 'right' || hash === unknown) return REFUSAL.notAuthorized
    return { ...identity, isProven: true, hash }
  }

  #admit(client: Client, identity: Identity): void {
    this.#identities.set(client, identity)
    this.#clients.add(client)
    this.#remember(identity)
    client.conn.once('close', () => {
      this.#clients.delete(client)
    })
    // A will lies in the store until its client is gone, and may outlive the rules that it was left under.
    const internals = client as unknown as ClientInternals
    if (internals._will !== null && internals._will !== undefined && !this.#mayWrite(client, internals._will.topic)) {
      this.counters.unwritten++
      this.#log.debug(
        { client: client.id, topic: internals._will.topic },
        'A will was dropped: its client may not write to the topic.'
      )
      internals._will = null
    }
  }

  #remember(identity: Identity): void {
    this.#latest.delete(identity.clientId)
    this.#latest.set(identity.clientId, identity)
    if (this.#latest.size <= MAX_REMEMBERED) return
    for (const oldest of this.#latest.keys()) {
      this.#latest.delete(oldest)
      return
    }
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
    const acl = this.#doors.get(identity.listener)?.acl ?? null
    if (acl !== null) return acl.allows(access, topic, identity)
    return !namesClients(topic) || identity.isProven || identity.isLocal
  }

  #fits({ payload }: PublishPacket): boolean {
    return payload.length <= this.#messageSize
  }

  #refuse(packet: PublishPacket, done: (error?: Error | null) => void): void {
    this.counters.unwritten++
    done(new PublishDenied(`not authorized to publish to ${printable(packet.topic)}`))
  }
}

async function openDoors(
  settings: ReadonlyMap<string, ListenerAuthSettings>,
  log: Logger
): Promise<ReadonlyMap<string, ListenerAuth>> {
  const files = new CredentialFiles()
  const doors = new Map<string, ListenerAuth>()
  for (const [listener, one] of settings) doors.set(listener, await files.open(one))
  for (const { place, problem } of files.skipped)
    log.warn({ place }, `A line of the password file is left out: ${problem}.`)
  return doors
}
