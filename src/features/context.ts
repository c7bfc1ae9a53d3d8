// The context of a record: what its connection, its address and its client id did lately.

import { timeOf } from '../record.js'
import type { Direction, Endpoint, JoinKind, MqttPacket, PacketBegun, StreamFrame } from '../types.js'
import { AnswerQuota } from './answered-records.js'
import { BoundedStates } from './bounded-states.js'
import { CONTEXT_COLUMNS, type View } from './context-columns.js'
import { AddressState, ClientState, ConnectionState } from './context-state.js'
import { Origins } from './origins.js'
import { payloadSamples, publishesOf, type PayloadSample } from './payload-sample.js'
import { spread } from './references.js'
import { FrameCounts, type FrameSummary } from './frame-counts.js'

/** How much is remembered; each overflow is counted. */
export interface ContextLimits {
  connections: number
  addresses: number
  clients: number
}

/** About 40 MB where an attacker fills all of them. */
export const CONTEXT_LIMITS: ContextLimits = Object.freeze({ connections: 8_192, addresses: 4_096, clients: 16_384 })

/** What is known of a record beyond its 31 features. */
export interface RecordContext {
  /** One value for each of {@link CONTEXT_COLUMNS}; NaN is missing. */
  values: Float64Array
  /** Application payloads; views of the packets' bytes. */
  payloads: readonly PayloadSample[] | null
  /** Number of the record in its source, from 0. */
  record: number
  /**
   * Numbers of earlier records whose messages this one acknowledges, and nothing else: at least as strange as all of
   * them.
   */
  references: readonly number[]
  /**
   * Numbers of earlier records whose message this one passes on to a client, whose bytes it acknowledges
   * without a packet of its own, or which it repeats: at least as strange as any of them.
   */
  origins: readonly number[]
  /**
   * Number of the CONNECT of another address that took its client's session: set at the end of that connection and
   * at the begin of the client's return. At least as strange as that; not so the messages that it brings. null where
   * nobody did.
   */
  takeover: number | null
}

/** A record before it is one. */
export interface ContextInput {
  /** Stands for the connection; the same object for all its records. */
  connection: object
  client: Endpoint
  seconds: number
  nanoseconds: number
  direction: Direction
  /** All packets that the record completes. */
  packets: readonly MqttPacket[]
  /** The packet of which it carries a part beyond these. */
  begun?: PacketBegun | null
  /** null where there is no tap. */
  frame: FrameSummary | null
}

/** What the join says of a frame. */
export interface FrameContent extends Pick<ContextInput, 'packets' | 'begun'> {
  join: JoinKind
  /** From where its client comes: behind a proxy that is known to the broker alone. */
  client?: Endpoint
}

const NONE: readonly number[] = Object.freeze([])

/**
 * Follows connections, addresses and client ids through the records of one source, in their order, by packet time only.
 */
export class ContextTracker {
  readonly #connections: BoundedStates<object, ConnectionState>
  readonly #addresses: BoundedStates<string, AddressState>
  readonly #clients: BoundedStates<number, ClientState>
  readonly #tally = new FrameCounts()
  readonly #room = new AnswerQuota()
  readonly #origins = new Origins()
  #records = 0
  #input: { address: string; time: number } = { address: '', time: 0 }

  constructor(limits: ContextLimits = CONTEXT_LIMITS) {
    this.#addresses = new BoundedStates(limits.addresses, () => new AddressState())
    this.#clients = new BoundedStates(limits.clients, () => new ClientState())
    this.#connections = new BoundedStates(
      limits.connections,
      () =>
        new ConnectionState(this.#addresses.of(this.#input.address), this.#input.address, this.#input.time, this.#room),
      state => {
        state.forget()
        state.answers.clear()
      }
    )
  }

  /** What was forgotten for want of room. */
  get counters(): {
    connectionsForgotten: number
    addressesForgotten: number
    clientsForgotten: number
    answersForgotten: number
    originsForgotten: number
  } {
    return {
      connectionsForgotten: this.#connections.evicted,
      addressesForgotten: this.#addresses.evicted,
      clientsForgotten: this.#clients.evicted,
      answersForgotten: this.#room.refused,
      originsForgotten: this.#origins.forgotten
    }
  }

  /** Takes the next frame in, with all packets that it completes. */
  frame(
    { frame: { tcp, payloadLength, seconds, nanoseconds }, stream, direction, to }: StreamFrame,
    { join, packets, begun, client = stream.client }: FrameContent
  ): RecordContext {
    return this.push({
      connection: stream,
      client,
      seconds,
      nanoseconds,
      direction,
      packets,
      begun,
      frame: {
        length: payloadLength,
        flags: tcp.flags,
        sequence: tcp.sequence,
        acknowledgement: tcp.acknowledgement,
        to: join === 'none' ? null : to
      }
    })
  }

  /** Takes the next record in, and gives its context. */
  push(input: ContextInput): RecordContext {
    const { client, direction, packets, begun = null, frame } = input
    const time = timeOf(input)
    const record = this.#records++
    this.#input = { address: client.address, time }
    const sight = { time, direction, packets, begun, frame }
    const connection = this.#connections.of(input.connection)
    if (connection.source !== client.address) connection.moveTo(this.#addresses.of(client.address), client.address)
    // The same object as long as it is kept: a connection outlives its address's state only when that was forgotten.
    const { address } = connection
    this.#addresses.of(client.address)
    this.#tally.take(sight)
    address.count(this.#tally, time)
    connection.count(this.#tally, time)
    connection.see(sight, record, hash => this.#clients.of(hash))
    const view: View = { time, direction, packets, begun, frame, connection, address }
    const published = this.#origins.see(sight, record)
    const { answered, earlier } = connection.answers.see(sight, record, published)
    const values = new Float64Array(CONTEXT_COLUMNS.length)
    for (let i = 0; i < values.length; i++) values[i] = CONTEXT_COLUMNS[i].read(view)
    return {
      values,
      payloads: payloadSamples(publishesOf(packets)),
      record,
      references: answered,
      origins: earlier.length > 0 ? earlier : known(published),
      takeover: connection.takenOverBy(time)
    }
  }
}

/** Those that are known, each once. */
function known(origins: readonly (number | undefined)[]): readonly number[] {
  return origins.length === 0 ? NONE : spread([...new Set(origins)].filter(origin => origin !== undefined))
}
