// The context of a record: recent activity of its connection, address and client id.

import { timeOf } from '../record.js'
import type { Direction, Endpoint, JoinKind, MqttPacket, PartialPacket, StreamFrame } from '../types.js'
import { AnswerQuota } from './answered-records.js'
import { BoundedStates } from './bounded-states.js'
import { CONTEXT_COLUMNS, type View } from './context-columns.js'
import { AddressState, ClientState, ConnectionState } from './context-state.js'
import { Origins } from './origins.js'
import { payloadSamples, publishesOf } from './payload-sample.js'
import type { RecordContext } from './record-context.js'
import { evenSample } from './references.js'
import { FrameCounts, type FrameSummary } from './frame-counts.js'

/** Limits of the context state. Each overflow is counted. */
export interface ContextLimits {
  connections: number
  addresses: number
  clients: number
}

/** About 40 MB when full. */
export const CONTEXT_LIMITS: ContextLimits = Object.freeze({ connections: 8_192, addresses: 4_096, clients: 16_384 })

/** Input of the context for one record. */
export interface ContextInput {
  /** Identifies the connection: the same object for all its records. */
  connection: object
  client: Endpoint
  seconds: number
  nanoseconds: number
  direction: Direction
  /** All packets that the record completes. */
  packets: readonly MqttPacket[]
  /** The incomplete packet at its end. */
  partial?: PartialPacket | null
  /** null without a tap. */
  frame: FrameSummary | null
}

/** Result of the join for a frame. */
export interface FrameContent extends Pick<ContextInput, 'packets' | 'partial'> {
  join: JoinKind
  /** Client address, if only the broker knows it (behind a proxy). */
  client?: Endpoint
}

const NONE: readonly number[] = Object.freeze([])

/** Tracks the connections, addresses and client ids of one source, in record order and by packet time only. */
export class ContextTracker {
  readonly #connections: BoundedStates<object, ConnectionState>
  readonly #addresses: BoundedStates<string, AddressState>
  readonly #clients: BoundedStates<number, ClientState>
  readonly #counts = new FrameCounts()
  readonly #quota = new AnswerQuota()
  readonly #origins = new Origins()
  #records = 0
  #input: { address: string; time: number } = { address: '', time: 0 }

  constructor(limits: ContextLimits = CONTEXT_LIMITS) {
    this.#addresses = new BoundedStates(limits.addresses, () => new AddressState())
    this.#clients = new BoundedStates(limits.clients, () => new ClientState())
    this.#connections = new BoundedStates(
      limits.connections,
      () =>
        new ConnectionState(
          this.#addresses.of(this.#input.address),
          this.#input.address,
          this.#input.time,
          this.#quota
        ),
      state => {
        state.markClosed()
        state.answers.clear()
      }
    )
  }

  /** Entries dropped because a table was full. */
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
      answersForgotten: this.#quota.refused,
      originsForgotten: this.#origins.forgotten
    }
  }

  /** Adds the next frame with all packets that it completes, and returns its context. */
  frame(
    { frame: { tcp, payloadLength, seconds, nanoseconds }, stream, direction, to }: StreamFrame,
    { join, packets, partial, client = stream.client }: FrameContent
  ): RecordContext {
    return this.push({
      connection: stream,
      client,
      seconds,
      nanoseconds,
      direction,
      packets,
      partial,
      frame: {
        length: payloadLength,
        flags: tcp.flags,
        sequence: tcp.sequence,
        acknowledgement: tcp.acknowledgement,
        to: join === 'none' ? null : to
      }
    })
  }

  /** Adds the next record and returns its context. */
  push(input: ContextInput): RecordContext {
    const { client, direction, packets, partial = null, frame } = input
    const time = timeOf(input)
    const record = this.#records++
    this.#input = { address: client.address, time }
    const summary = { time, direction, packets, partial, frame }
    const connection = this.#connections.of(input.connection)
    if (connection.source !== client.address) connection.moveTo(this.#addresses.of(client.address), client.address)
    // The connection keeps its address state, even if that has been evicted from the map.
    const { address } = connection
    this.#addresses.of(client.address)
    this.#counts.set(summary)
    address.count(this.#counts, time)
    connection.count(this.#counts, time)
    connection.update(summary, record, hash => this.#clients.of(hash))
    const view: View = { time, direction, packets, partial, frame, connection, address }
    const published = this.#origins.add(summary, record)
    const { answered, earlier } = connection.answers.add(summary, record, published)
    const values = new Float64Array(CONTEXT_COLUMNS.length)
    for (let i = 0; i < values.length; i++) values[i] = CONTEXT_COLUMNS[i].read(view)
    return {
      values,
      payloads: payloadSamples(publishesOf(packets)),
      record,
      references: answered,
      origins: earlier.length > 0 ? earlier : knownOrigins(published),
      takeover: connection.takenOverBy(time)
    }
  }
}

/** Returns the known origins, without duplicates. */
function knownOrigins(origins: readonly (number | undefined)[]): readonly number[] {
  return origins.length === 0 ? NONE : evenSample([...new Set(origins)].filter(origin => origin !== undefined))
}
