// How many messages of QoS 1 and 2 may be on their way to one client: further ones wait for its acknowledgements.

import type { AedesPublishPacket, Client } from 'aedes'
import type { Pacing } from './pacing.js'

/** Begins the delivery of a message; `done` is called when it is written, or will not be. */
export type Begin = (done: () => void) => void

/** How much may be on its way to a client, and what to do where much waits behind it. */
export interface WindowOptions {
  /** Messages of QoS 1 and 2 that a client may leave unacknowledged before further ones wait; it may allow less itself. */
  inflightMessages: number
  /** Whether more than half of what may wait for a client does. */
  isCrowded: (client: Client) => boolean
  pacing: Pacing
}

/** A message that waits for room. */
interface Waiting {
  packet: AedesPublishPacket
  begin: Begin
  /** Takes it out of the count of what waits. */
  release: () => void
}

/** The parts of a client that Aedes does not declare. */
interface ClientInternals {
  /** Receive Maximum, 65,535 where the client did not say; known from its CONNECT on. */
  receiveMaximum?: number
  /** The counter of the last message of each broker that went to the client. */
  duplicates: Record<string, number | undefined>
  _nextId: number
  _parser: { prependListener (event: 'packet', listener: (packet: Acknowledging) => void): void }
}

interface Acknowledging {
  cmd: string
  messageId?: number
  reasonCode?: number
}

const MAX_MESSAGE_ID = 65_535
/** Reason codes from here on are errors (MQTT 5, section 2.4). */
const ERROR_REASON = 0x80

const byClient = new WeakMap<object, OutgoingWindow>()

/** The window of a client; undefined where it has none. */
export function windowOf (client: object): OutgoingWindow | undefined {
  return byClient.get(client)
}

/**
 * The unacknowledged messages of one client and those that wait behind them, in their order [MQTT-4.6.0-6].
 * Until the client has everything that waits in the store, all others wait. How many may wait is for others
 * to say: see `Queues.hold`.
 */
export class OutgoingWindow {
  /** Packet identifiers that the client has not acknowledged to the end. */
  private readonly unacknowledged = new Set<number>()
  private readonly waiting: Waiting[] = []
  /** Deliveries that have begun and are not written yet, or were a moment ago. */
  private begun = 0
  private isDraining = true
  private isClosed = false
  /** Lets the next message leave the store. */
  private goOn: (() => void) | undefined
  private readonly internals: ClientInternals

  constructor (private readonly client: Client, private readonly options: WindowOptions) {
    byClient.set(client, this)
    this.internals = client as unknown as ClientInternals
    this.internals._parser.prependListener('packet', packet => { this.read(packet) })
    client.conn.once('close', () => { this.close() })
    this.giveFreeIds()
  }

  /** Whether a message may go out at once. */
  get isOpen (): boolean {
    return !this.isDraining && this.waiting.length === 0 && this.hasRoom
  }

  /** Begins a delivery; only when the window is open. */
  begin (begin: Begin): void {
    this.begun++
    begin(() => {
      this.begun--
      this.goAhead()
    })
  }

  /** Lets a message wait until the window opens. */
  wait (packet: AedesPublishPacket, begin: Begin, release: () => void): void {
    if (this.isClosed) {
      release()
      return
    }
    this.waiting.push({ packet, begin, release })
    // One that comes back has its stored messages to take first, at whatever pace.
    if (!this.isDraining && this.options.isCrowded(this.client)) this.options.pacing.fallBehind(this)
  }

  /** Resolves when the next message may leave the store for a client that has come back. */
  leave (packet: AedesPublishPacket): Promise<void> | undefined {
    // That is not from the store: a message that has begun its way, or a PUBREL that answers.
    if (!this.isDraining || !packet.brokerId) return undefined
    this.forgetCopy(packet)
    if (this.hasRoom || this.isClosed) return undefined
    return new Promise(resolve => { this.goOn = resolve })
  }

  /** Nothing is left in the store. */
  drained (): void {
    this.isDraining = false
    this.goAhead()
  }

  /** A packet identifier that nothing has. */
  takeId (): number {
    return this.internals._nextId++
  }

  /** A PUBLISH of QoS 1 or 2, or a PUBREL, has been written. */
  sent (id: number): void {
    this.unacknowledged.add(id)
  }

  private get hasRoom (): boolean {
    // A Receive Maximum of 0 does not exist [MQTT-3.1.2.11.3].
    return this.unacknowledged.size + this.begun < Math.max(1, Math.min(this.internals.receiveMaximum ?? MAX_MESSAGE_ID, this.options.inflightMessages))
  }

  private read ({ cmd, messageId = 0, reasonCode = 0 }: Acknowledging): void {
    if (cmd !== 'puback' && cmd !== 'pubcomp' && (cmd !== 'pubrec' || reasonCode < ERROR_REASON)) return
    if (!this.unacknowledged.delete(messageId)) return
    this.options.pacing.acknowledge(this)
    this.goAhead()
  }

  private goAhead (): void {
    if (this.isClosed) return
    if (this.goOn !== undefined && this.hasRoom) {
      const { goOn } = this
      this.goOn = undefined
      goOn()
    }
    while (!this.isDraining && this.hasRoom) {
      const next = this.waiting.shift()
      if (next === undefined) break
      next.release()
      this.begin(next.begin)
    }
    if (this.waiting.length === 0) this.options.pacing.catchUp(this)
    else if (!this.options.isCrowded(this.client)) this.options.pacing.keepUp(this)
  }

  /** What was published while the client came back may be both in the store and on its way. */
  private forgetCopy ({ brokerId = '', brokerCounter = 0 }: AedesPublishPacket): void {
    const { duplicates } = this.internals
    duplicates[brokerId] = Math.max(duplicates[brokerId] ?? 0, brokerCounter)
    const copy = this.waiting.findIndex(({ packet }) => packet.brokerId === brokerId && packet.brokerCounter === brokerCounter)
    if (copy >= 0) this.waiting.splice(copy, 1)[0]?.release()
  }

  /** Aedes counts on after 65,535 messages, whatever is still on its way [MQTT-2.3.1-3]. */
  private giveFreeIds (): void {
    let nextId = this.internals._nextId
    Object.defineProperty(this.internals, '_nextId', {
      get: () => {
        while (this.unacknowledged.has(nextId)) nextId = nextId % MAX_MESSAGE_ID + 1
        return nextId
      },
      set: (id: number) => { nextId = id > MAX_MESSAGE_ID ? 1 : id }
    })
  }

  private close (): void {
    this.isClosed = true
    for (const { release } of this.waiting.splice(0)) release()
    this.options.pacing.catchUp(this)
    // The store is not read further: the connection is gone.
    this.goOn?.()
  }
}
