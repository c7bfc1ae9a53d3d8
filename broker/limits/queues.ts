// What waits in the store for clients: counted, and cut off where it is too much.

import type { AedesPublishPacket, Client } from 'aedes'
import { arrivalOf } from '../listeners/arrival.js'
import { isTooLarge } from '../outgoing-message.js'
import { windowOf } from '../outgoing-window.js'
import type { Persistence, Store } from '../persistence.js'
import type { Tally } from './tally.js'
import { wasRefused } from './topics.js'

/** The settings that this enforces. */
export interface QueueLimits {
  queuedMessages: number | null
  queuedBytes: number | null
}

/** Whether a message may wait for a client, by what is known of it. */
export type MayWait = (clientId: string, packet: AedesPublishPacket) => boolean

/** A message in a queue, as the persistence numbers it. */
interface Numbered {
  brokerId?: string
  brokerCounter?: number
  messageId?: number
}

/** One client's queue: the size of each message that waits, by its number. */
interface Queue {
  sizes: Map<string, number>
  bytes: number
}

/** What the persistence is called with for a client. */
interface Recipient {
  clientId: string
}

/** The methods of the persistence that this stands before. */
interface QueueMethods {
  outgoingEnqueue (recipient: Recipient, packet: AedesPublishPacket): Promise<unknown>
  outgoingEnqueueCombi (recipients: readonly Recipient[], packet: AedesPublishPacket): Promise<unknown>
  outgoingClearMessageId (client: { id: string, clean?: boolean, connecting?: boolean }, packet: Numbered): Promise<Numbered | undefined>
  outgoingUpdate (client: Client, packet: AedesPublishPacket): Promise<unknown>
  incomingStorePacket (client: Client, packet: AedesPublishPacket): Promise<unknown>
  incomingDelPacket (client: Client, packet: Numbered): Promise<unknown>
  cleanIncoming (client: Client): Promise<unknown>
  addSubscriptions (client: { id: string }, subscriptions: readonly object[]): Promise<unknown>
}

/** Reason code "Receive Maximum exceeded" [MQTT 5, 3.14.2.1]. */
const RECEIVE_MAXIMUM_EXCEEDED = 0x93
/** Bytes that a stored message takes besides topic and payload. */
const MESSAGE_OVERHEAD = 100

/** The queues of all clients, those of earlier runs included. */
export class Queues {
  /** The store's persistence with the limits before it. */
  readonly persistence: Persistence
  private readonly queues = new Map<string, Queue>()
  /** Messages that were dropped for a client which is connected: it must not be told of them either. */
  private readonly dropped = new Map<string, Set<string>>()
  /** Message ids of QoS 2 that each client has not released. */
  private readonly unreleased = new Map<string, Set<number>>()
  private readonly connected = new Map<string, Client>()
  /** Retained messages that had to wait; they have no number of their own. */
  private heldRetained = 0

  private constructor (
    private readonly store: Store,
    private readonly limits: QueueLimits,
    private readonly tally: Tally,
    private readonly mayWait: MayWait
  ) {
    const methods = store.persistence as unknown as QueueMethods
    const own: Partial<QueueMethods> = {
      outgoingEnqueue: (recipient, packet) => this.enqueue(methods, [recipient], packet),
      outgoingEnqueueCombi: (recipients, packet) => this.enqueue(methods, recipients, packet),
      outgoingClearMessageId: async (client, packet) => {
        // Nothing is stored for a session that ends with its connection, and to look there for each acknowledgement
        // holds up the next; but what an earlier session of that name left is removed as the client connects.
        if (client.clean === true && client.connecting === false) return undefined
        const cleared = await methods.outgoingClearMessageId(client, packet)
        if (cleared !== undefined) this.forget(client.id, keyOf(cleared))
        return cleared
      },
      outgoingUpdate: async (client, packet) => {
        await windowOf(client)?.leave(packet)
        // Its session may be another connection's by now.
        if (client.closed) return
        return await methods.outgoingUpdate(client, packet)
      },
      incomingStorePacket: async (client, packet) => {
        const refusal = this.take(client, (packet as Numbered).messageId ?? 0)
        if (refusal !== undefined) throw await refusal
        return await methods.incomingStorePacket(client, packet)
      },
      incomingDelPacket: (client, packet) => {
        this.unreleased.get(client.id)?.delete(packet.messageId ?? 0)
        return methods.incomingDelPacket(client, packet)
      },
      // All filters of a SUBSCRIBE are decided upon in one turn, and stored with the first of them.
      addSubscriptions: async (client, subscriptions) => {
        await Promise.resolve()
        return await methods.addSubscriptions(client, granted(subscriptions))
      }
    }
    this.persistence = new Proxy(store.persistence, {
      get: (target, name) => {
        const member: unknown = Object.hasOwn(own, name) ? own[name as keyof QueueMethods] : Reflect.get(target, name, target)
        return member
      }
    })
  }

  /** Counts what waits already. */
  static async open (store: Store, limits: QueueLimits, tally: Tally, mayWait: MayWait = () => true): Promise<Queues> {
    const queues = new Queues(store, limits, tally, mayWait)
    for await (const { clientId, packet } of store.queued()) queues.add(clientId, keyOf(packet), sizeOf(packet))
    return queues
  }

  /** Messages and bytes that wait, for all clients. */
  get waiting (): { messages: number, bytes: number } {
    let messages = 0
    let bytes = 0
    for (const queue of this.queues.values()) {
      messages += queue.sizes.size
      bytes += queue.bytes
    }
    return { messages, bytes }
  }

  /** Whether a message was dropped for a client, which is then forgotten. */
  wasDropped (clientId: string, packet: Numbered): boolean {
    return this.dropped.get(clientId)?.delete(keyOf(packet)) === true
  }

  /**
   * Counts a message that waits in memory until a client has acknowledged others; gives what takes it out of the
   * count, or undefined where too much waits already.
   */
  hold (client: Client, packet: AedesPublishPacket): (() => void) | undefined {
    const key = packet.brokerId ? keyOf(packet) : `retained:${++this.heldRetained}`
    // For a session that lasts it waits in the store as well.
    if (this.queues.get(client.id)?.sizes.has(key) === true) return () => {}
    const size = sizeOf(packet)
    if (!this.hasRoom(client.id, key, size)) return undefined
    this.add(client.id, key, size)
    return () => { this.forget(client.id, key) }
  }

  /** Removes a message that will not go out after all. */
  discard (client: Client, packet: AedesPublishPacket): void {
    const window = windowOf(client)
    if (window === undefined || this.queues.get(client.id)?.sizes.has(keyOf(packet)) !== true) return
    const messageId = window.takeId()
    const { outgoingUpdate, outgoingClearMessageId } = this.store.persistence as unknown as QueueMethods
    // The store removes by identifier, which a message has once it goes out.
    outgoingUpdate(client, Object.assign({}, packet, { messageId }))
      .then(() => outgoingClearMessageId(client, { messageId }))
      .then(() => { this.forget(client.id, keyOf(packet)) }, () => {})
  }

  /** Whether more than half of what may wait for a client does. */
  isCrowded (clientId: string): boolean {
    const queue = this.queues.get(clientId)
    const { queuedMessages, queuedBytes } = this.limits
    return queue !== undefined && (queue.sizes.size * 2 > (queuedMessages ?? Infinity) || queue.bytes * 2 > (queuedBytes ?? Infinity))
  }

  /** A client is connected from here on. */
  join (client: Client): void {
    this.connected.set(client.id, client)
    this.forgetUnreleased(client)
  }

  /** It is gone. */
  leave (client: Client): void {
    if (this.connected.get(client.id) !== client) return
    this.connected.delete(client.id)
    this.dropped.delete(client.id)
    this.forgetUnreleased(client)
  }

  /** Where the session begins or ends with the connection, Aedes leaves these behind. */
  private forgetUnreleased (client: Client): void {
    const isClean = (client as unknown as { clean: boolean }).clean
    const ids = this.unreleased.get(client.id)
    if (ids === undefined || (ids.size > 0 && !isClean)) return
    this.unreleased.delete(client.id)
    if (ids.size === 0) return
    const { cleanIncoming } = this.store.persistence as unknown as QueueMethods
    cleanIncoming(client).catch(() => {})
  }

  /** A session has ended: what waits for it is removed, also what was never sent, which Aedes leaves behind. */
  async end (clientId: string): Promise<void> {
    if (this.queues.delete(clientId)) await this.store.dropQueue(clientId)
  }

  private async enqueue (methods: QueueMethods, recipients: readonly Recipient[], packet: AedesPublishPacket): Promise<unknown> {
    const key = keyOf(packet)
    const size = sizeOf(packet)
    const admitted = recipients.filter(({ clientId }) => {
      const client = this.connected.get(clientId)
      // What it will not get must not take the room of what it will.
      if (!this.mayWait(clientId, packet) || (client !== undefined && isTooLarge(client, packet))) return false
      if (this.hasRoom(clientId, key, size)) return true
      if (client !== undefined) this.dropped.set(clientId, (this.dropped.get(clientId) ?? new Set()).add(key))
      return false
    })
    for (const { clientId } of admitted) this.add(clientId, key, size)
    return await methods.outgoingEnqueueCombi(admitted, packet)
  }

  private hasRoom (clientId: string, key: string, size: number): boolean {
    const queue = this.queues.get(clientId)
    const { queuedMessages, queuedBytes } = this.limits
    // One that is larger than all the room still goes into an empty queue.
    if (queue === undefined || queue.sizes.size === 0 || queue.sizes.has(key)) return true
    const exceeded = queue.sizes.size >= (queuedMessages ?? Infinity) ? 'queuedMessages'
      : queue.bytes + size > (queuedBytes ?? Infinity) ? 'queuedBytes' : undefined
    if (exceeded === undefined) return true
    const client = this.connected.get(clientId)
    this.tally.hit(exceeded, client === undefined ? '' : arrivalOf(client.conn)?.client.address ?? '', { client: clientId })
    return false
  }

  private add (clientId: string, key: string, size: number): void {
    let queue = this.queues.get(clientId)
    if (queue === undefined) this.queues.set(clientId, queue = { sizes: new Map(), bytes: 0 })
    if (queue.sizes.has(key)) return
    queue.sizes.set(key, size)
    queue.bytes += size
  }

  private forget (clientId: string, key: string): void {
    const queue = this.queues.get(clientId)
    const size = queue?.sizes.get(key)
    if (queue === undefined || size === undefined) return
    queue.sizes.delete(key)
    queue.bytes -= size
    if (queue.sizes.size === 0) this.queues.delete(clientId)
  }

  /** A message of QoS 2 is on its way in; an error where too many are, when the client has been told. */
  private take (client: Client, messageId: number): Promise<Error> | undefined {
    // MQTT 5 was told a smaller number, which widespread clients do not heed: that they hurt nobody is what matters.
    const limit = this.limits.queuedMessages ?? Infinity
    const unreleased = this.unreleased.get(client.id) ?? new Set()
    this.unreleased.set(client.id, unreleased)
    if (!unreleased.has(messageId) && unreleased.size >= limit) {
      this.tally.hit('inflightMessages', arrivalOf(client.conn)?.client.address ?? '', { client: client.id })
      const { disconnect } = client as unknown as { disconnect (options: object, done: () => void): void }
      const error = new Error(`more than ${limit} messages of QoS 2 on their way`)
      return new Promise(resolve => { disconnect.call(client, { reasonCode: RECEIVE_MAXIMUM_EXCEEDED }, () => { resolve(error) }) })
    }
    unreleased.add(messageId)
    return undefined
  }
}

const grantedOf = new WeakMap<readonly object[], readonly object[]>()

/** Those that were not refused; the same list for the same list, as that is how the store knows it has it. */
function granted (subscriptions: readonly object[]): readonly object[] {
  const known = grantedOf.get(subscriptions)
  if (known !== undefined) return known
  const list = subscriptions.some(wasRefused) ? subscriptions.filter(one => !wasRefused(one)) : subscriptions
  grantedOf.set(subscriptions, list)
  return list
}

function keyOf ({ brokerId, brokerCounter }: Numbered): string {
  return `${brokerId}:${brokerCounter}`
}

function sizeOf ({ topic, payload }: { topic?: string, payload?: string | Uint8Array }): number {
  return MESSAGE_OVERHEAD + (topic?.length ?? 0) + (payload?.length ?? 0)
}
