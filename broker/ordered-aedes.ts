// An Aedes that hands messages on in the order in which it took them, and so loses none.

import { Aedes, type AedesOptions } from 'aedes'

type Done = (error?: Error) => void

/** A message on its way in, with what {@link Aedes.publish} was called with. */
interface Incoming {
  packet: Parameters<Aedes['publish']>[0]
  client: object | null
  done: Done
}

/** The parts of Aedes that it does not declare. */
interface AedesInternals {
  mq: { emit(packet: object, done?: () => void): void }
}

/**
 * Aedes numbers a message when it takes it and emits it when the store has it, which takes longer for
 * some than for others. A subscriber that gets a later number first takes the earlier one for a
 * duplicate and drops it; and topics lose their order [MQTT-4.6.0-6]. Here a message is numbered only
 * when the one before it has been emitted. Nobody waits for subscribers: only for the store. What
 * waits is bounded, because Aedes reads no more from a client whose messages are not through.
 */
export class OrderedAedes extends Aedes {
  private readonly waiting: Incoming[] = []
  /** The message that is being stored. */
  private storing: Incoming | undefined
  private isDraining = false

  constructor (options: AedesOptions) {
    super(options)
    const { mq } = this as unknown as AedesInternals
    const emit = mq.emit.bind(mq)
    mq.emit = (packet, done) => {
      this.storing = undefined
      emit(packet, done)
      this.drain()
    }
  }

  override publish (packet: Incoming['packet'], client: object | null | Done, done: Done = () => {}): void {
    this.waiting.push(typeof client === 'function' ? { packet, client: null, done: client as Done } : { packet, client, done })
    this.drain()
  }

  /** One after the other; a loop, because most messages need no store and are emitted at once. */
  private drain (): void {
    if (this.isDraining) return
    this.isDraining = true
    while (this.storing === undefined) {
      const next = this.waiting.shift()
      if (next === undefined) break
      this.store(next)
    }
    this.isDraining = false
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
