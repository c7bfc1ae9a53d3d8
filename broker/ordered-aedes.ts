// An Aedes that hands messages on in the order in which it took them, and acknowledges what is stored.

import { Aedes, type AedesOptions } from 'aedes'
import { heldFor } from './held-writes.js'
import type { Pacing } from './pacing.js'

/**
 * Messages handed on in one turn of the event loop. A publisher's come hundreds at a time; a subscriber with a window
 * of 20, the usual one, must be read in between, or it falls behind however fast it acknowledges.
 */
const MAX_PER_TURN = 20

type Done = (error?: Error) => void

/** A message on its way in, with what {@link Aedes.publish} was called with. */
interface Incoming {
  packet: Parameters<Aedes['publish']>[0]
  client: object | null
  done: Done
}

/** As a client sent it; a message of the broker itself has no identifier. */
interface PacketFromClient {
  qos: number
  messageId?: number
}

/** The parts of Aedes that it does not declare. */
interface AedesInternals {
  mq: { emit(packet: object, done?: () => void): void }
}

/**
 * Aedes emits a message when the store has it, which takes longer for some than for others: a retained
 * message is overtaken by the next one of its topic [MQTT-4.6.0-6]. Here a message begins its way only
 * when the one before it has been emitted. It waits for the store, and for subscribers as long as
 * {@link Pacing} allows. What waits is bounded, because Aedes reads no more from a client whose messages
 * are not through.
 */
export class OrderedAedes extends Aedes {
  private readonly waiting: Incoming[] = []
  /** The message that is being stored. */
  private storing: Incoming | undefined
  private isDraining = false
  private inThisTurn = 0
  private readonly dropped = new WeakSet<object>()
  /** Messages that came as far as here. */
  private readonly taken = new WeakSet<object>()

  constructor (options: AedesOptions, private readonly pacing: Pacing) {
    super(options)
    const { mq } = this as unknown as AedesInternals
    const emit = mq.emit.bind(mq)
    mq.emit = (packet, done) => {
      // Aedes emits what the store has.
      if (this.storing !== undefined) acknowledge(this.storing)
      this.storing = undefined
      emit(packet, done)
      this.drain()
    }
  }

  /** Takes a message that is about to be published for read: its sender gets its acknowledgement, and nobody the message. */
  drop (packet: object): void {
    this.dropped.add(packet)
  }

  /**
   * Acknowledges also what somebody who stands in `publish` keeps for himself, as the detection does with
   * requests to it. To be called when all of them stand there; they must pass on what they do not keep
   * before they return.
   */
  acknowledgeKept (): void {
    const publish = this.publish.bind(this) as (packet: Incoming['packet'], client: object | null | Done, done?: Done) => void
    this.publish = (packet: Incoming['packet'], client: object | null | Done, done?: Done) => {
      publish(packet, client, done)
      if (!this.taken.has(packet) && typeof client !== 'function') acknowledge({ packet, client })
    }
  }

  override publish (packet: Incoming['packet'], client: object | null | Done, done: Done = () => {}): void {
    this.taken.add(packet)
    const incoming = typeof client === 'function' ? { packet, client: null, done: client as Done } : { packet, client, done }
    if (this.dropped.delete(packet)) {
      acknowledge(incoming)
      incoming.done()
      return
    }
    const { qos, messageId } = packet as PacketFromClient
    if (qos === 2 && messageId !== undefined) heldFor(incoming.client)?.await(messageId)
    this.waiting.push(incoming)
    this.drain()
  }

  /** One after the other; a loop, because most messages need no store and are emitted at once. */
  private drain (): void {
    if (this.isDraining) return
    this.isDraining = true
    while (this.storing === undefined && this.inThisTurn < MAX_PER_TURN && this.waiting.length > 0) {
      if (this.pacing.hold(() => { this.drain() })) break
      const next = this.waiting.shift() as Incoming
      if (this.inThisTurn++ === 0) setImmediate(() => { this.beginTurn() })
      this.store(next)
    }
    this.isDraining = false
  }

  private beginTurn (): void {
    this.inThisTurn = 0
    this.drain()
  }

  private store (incoming: Incoming): void {
    this.storing = incoming
    const publish = super.publish as (packet: object, client: object | null, done: Done) => void
    publish.call(this, incoming.packet, incoming.client, error => {
      incoming.done(error)
      // One that could not be stored is never emitted: the others must not wait for it.
      if (this.storing === incoming) {
        this.storing = undefined
        this.drain()
      }
    })
  }
}

/** Lets the PUBACK of a message go out, where it was held back. */
function acknowledge ({ packet, client }: Pick<Incoming, 'packet' | 'client'>): void {
  const { qos, messageId } = packet as PacketFromClient
  if (qos === 1 && messageId !== undefined) heldFor(client)?.stored(messageId)
}
