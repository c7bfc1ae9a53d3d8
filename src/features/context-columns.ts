// The ordered list of context columns: name, meaning and how each is read.

import { isRefusal, readSubscribe } from '../decode/mqtt-facts.js'
import { PacketType } from '../decode/packet-types.js'
import type { MqttPacket } from '../types.js'
import type { AddressState, ConnectionState } from './context-state.js'
import { WINDOWS, type Window } from './damped.js'
import { Count, isProtocolViolation, type RecordSummary } from './frame-counts.js'

/** The level of a column. */
export type ContextScope = 'frame' | 'connection' | 'address'

/** Input of a column: the record itself and the state after the record. */
export interface View extends RecordSummary {
  connection: ConnectionState
  address: AddressState
}

/** One context column. */
export interface ContextColumn {
  readonly name: string
  readonly scope: ContextScope
  /** Seconds after which an event counts 1/e; null if the column does not decay. */
  readonly window: number | null
  /** Requires a tap. */
  readonly wire: boolean
  /** Conversion to a number: `log` is ln(1 + value). */
  readonly coding: 'value' | 'log'
  /** Meaning, with its unit. */
  readonly about: string
  /** Returns the value; NaN if the record has none. */
  readonly read: (view: View) => number
}

type Traits = Partial<Pick<ContextColumn, 'wire' | 'coding'>>

const TAPPED: Traits = { wire: true }

/** Returns the context column with a name; undefined if there is none. */
export function contextColumn(name: string): ContextColumn | undefined {
  return BY_NAME.get(name)
}

function column(
  scope: ContextScope,
  name: string,
  about: string,
  read: (view: View) => number,
  traits: Traits = {},
  window: number | null = null
): ContextColumn {
  return Object.freeze({ name, scope, window, wire: false, coding: 'log', about, read, ...traits })
}

type CountScope = 'connection' | 'address'

/** A column over a window of the connection or the address. */
function windowed(
  scope: CountScope,
  suffix: string,
  window: Window,
  about: string,
  read: (view: View) => number,
  traits: Traits
): ContextColumn {
  const seconds = WINDOWS[window]
  const name = `${scope === 'connection' ? 'conn' : 'addr'}_${suffix}_${seconds}s`
  return column(scope, name, about, read, traits, seconds)
}

/** A damped count. */
function count(
  scope: CountScope,
  suffix: string,
  number: number,
  window: Window,
  about: string,
  traits: Traits = {}
): ContextColumn {
  const read = (view: View): number => Math.max(0, view[scope].counts.get(number, window))
  return windowed(scope, suffix, window, about, read, traits)
}

/** The ratio of two counts; 0 if the denominator is 0. */
function ratio(
  scope: CountScope,
  suffix: string,
  numerator: number,
  denominators: readonly number[],
  window: Window,
  about: string,
  traits: Traits = {}
): ContextColumn {
  const read = (view: View): number => {
    const { counts } = view[scope]
    let denominator = 0
    for (const number of denominators) denominator += counts.get(number, window)
    return denominator < 1e-9 ? 0 : Math.max(0, counts.get(numerator, window) / denominator)
  }
  return windowed(scope, suffix, window, about, read, traits)
}

/** The number of packets of some types in the frame. */
function packetTypes(suffix: string, about: string, ...wanted: number[]): ContextColumn {
  const mask = wanted.reduce((bits, type) => bits | (1 << type), 0)
  return column('frame', `frame_${suffix}`, about, ({ packets }) =>
    countOf(packets, ({ header }) => (mask & (1 << (header >> 4))) !== 0)
  )
}

function countOf(packets: readonly MqttPacket[], matches: (packet: MqttPacket) => boolean): number {
  let found = 0
  for (const packet of packets) if (matches(packet)) found++
  return found
}

const [S1, S10, S60] = [0, 1, 2] as const

/** The context columns, in the order of all files that this program writes. */
export const CONTEXT_COLUMNS: readonly ContextColumn[] = Object.freeze([
  column(
    'frame',
    'frame_up',
    '1 from client to broker, 0 from broker to client',
    ({ direction }) => Number(direction === 'in'),
    {
      coding: 'value'
    }
  ),
  column('frame', 'frame_packets', 'MQTT packets completed in the frame', ({ packets }) => packets.length, TAPPED),
  column(
    'frame',
    'frame_incomplete',
    '1 if the frame carries bytes and completes no packet',
    ({ frame, packets }) => Number(frame !== null && frame.length > 0 && packets.length === 0),
    { wire: true, coding: 'value' }
  ),
  packetTypes('connect', 'CONNECT packets of the frame', PacketType.CONNECT),
  packetTypes('connack', 'CONNACK packets of the frame', PacketType.CONNACK),
  packetTypes('publish', 'PUBLISH packets of the frame', PacketType.PUBLISH),
  packetTypes(
    'acks',
    'PUBACK, PUBREC, PUBREL and PUBCOMP packets of the frame',
    PacketType.PUBACK,
    PacketType.PUBREC,
    PacketType.PUBREL,
    PacketType.PUBCOMP
  ),
  packetTypes(
    'subscribe',
    'SUBSCRIBE and UNSUBSCRIBE packets of the frame',
    PacketType.SUBSCRIBE,
    PacketType.UNSUBSCRIBE
  ),
  packetTypes('suback', 'SUBACK and UNSUBACK packets of the frame', PacketType.SUBACK, PacketType.UNSUBACK),
  packetTypes('ping', 'PINGREQ and PINGRESP packets of the frame', PacketType.PINGREQ, PacketType.PINGRESP),
  packetTypes('disconnect', 'DISCONNECT and AUTH packets of the frame', PacketType.DISCONNECT, PacketType.AUTH),
  column('frame', 'frame_refused', 'CONNACK packets of the frame with a refusal', ({ packets }) =>
    countOf(packets, isRefusal)
  ),
  column(
    'frame',
    'frame_malformed',
    'malformed or invalid packets of the frame from the client',
    ({ direction, packets }) => (direction === 'in' ? countOf(packets, isProtocolViolation) : 0)
  ),
  column('frame', 'frame_retained', 'PUBLISH packets of the frame with the retain flag', ({ packets }) =>
    countOf(packets, ({ header }) => header >> 4 === 3 && (header & 1) === 1)
  ),
  column(
    'frame',
    'frame_wide_filters',
    'filters of the frame with wildcards or $, counted twice if they start with one',
    ({ packets }) =>
      packets.reduce((sum, packet) => {
        const facts = readSubscribe(packet)
        return facts === null ? sum : sum + facts.wildcards + facts.widest
      }, 0)
  ),

  count('connection', 'frames', Count.Frames, S1, 'frames that the client initiated', TAPPED),
  count('connection', 'frames', Count.Frames, S10, 'frames that the client initiated', TAPPED),
  count('connection', 'bytes', Count.Bytes, S10, 'bytes of these frames; without a tap, of the packets'),
  count('connection', 'packets', Count.Packets, S10, 'MQTT packets that the client initiated'),
  count('connection', 'packets', Count.Packets, S60, 'MQTT packets that the client initiated'),
  count('connection', 'publishes', Count.Publishes, S10, 'PUBLISH packets from the client'),
  ratio(
    'connection',
    'length',
    Count.Bytes,
    [Count.Frames],
    S60,
    'mean bytes of a frame that the client initiated',
    TAPPED
  ),
  ratio(
    'connection',
    'packets_per_frame',
    Count.Packets,
    [Count.Frames],
    S60,
    'MQTT packets per frame that the client initiated',
    TAPPED
  ),
  ratio(
    'connection',
    'fragments_share',
    Count.Fragments,
    [Count.Frames],
    S60,
    'share of these frames that complete no packet',
    { wire: true, coding: 'value' }
  ),
  ratio(
    'connection',
    'payload_mean',
    Count.PayloadBytes,
    [Count.Publishes],
    S60,
    'mean payload of a PUBLISH from the client, bytes'
  ),
  ratio(
    'connection',
    'retained_share',
    Count.Retained,
    [Count.Publishes],
    S60,
    'share of PUBLISH packets from the client with the retain flag',
    { coding: 'value' }
  ),
  column('connection', 'conn_subscribes', 'SUBSCRIBE packets so far', ({ connection }) => connection.subscribes),
  column(
    'connection',
    'conn_topics',
    'different topics that the client published to in the last one to two minutes, up to 1,420',
    ({ connection, time }) => connection.topics.count(time)
  ),
  column(
    'connection',
    'conn_wide_filters',
    'filters with wildcards or $ so far, counted twice if they start with one',
    ({ connection }) => connection.wideFilters
  ),
  column('connection', 'conn_filters', 'filters so far', ({ connection }) => connection.filters),
  column(
    'connection',
    'conn_malformed',
    'malformed, invalid or unexpected packets so far',
    ({ connection }) => connection.malformed
  ),
  column(
    'connection',
    'conn_keep_alive',
    'keep alive of the CONNECT, seconds; missing before it',
    ({ connection }) => connection.keepAlive ?? NaN
  ),
  column('connection', 'conn_will', '1 if the CONNECT has a will', ({ connection }) => Number(connection.will), {
    coding: 'value'
  }),
  column(
    'connection',
    'conn_idle',
    "time since the client's last complete packet, as a share of its keep alive (of 60 s if it has none)",
    ({ connection, time }) => connection.idle(time)
  ),
  column(
    'connection',
    'conn_no_connect',
    'seconds since the connection was first seen, until the first complete packet from the client',
    ({ connection, time }) => connection.waitedForConnect(time)
  ),
  column(
    'connection',
    'conn_waiting_bytes',
    "bytes of the frame's direction after its last complete packet",
    ({ connection, direction }) => connection.waitingBytes[direction],
    TAPPED
  ),
  column(
    'connection',
    'conn_releases_due',
    'PUBLISH packets of QoS 2 from the client without PUBREL',
    ({ connection }) => connection.releasesDue
  ),
  column(
    'connection',
    'conn_acks_due',
    'PUBLISH packets of QoS 1 and 2 to the client that it did not acknowledge',
    ({ connection }) => connection.acksDue
  ),

  count('address', 'frames', Count.Frames, S1, 'frames that the address initiated', TAPPED),
  count('address', 'frames', Count.Frames, S10, 'frames that the address initiated', TAPPED),
  count('address', 'bytes', Count.Bytes, S10, 'bytes of these frames; without a tap, of the packets'),
  count('address', 'packets', Count.Packets, S60, 'MQTT packets that the address initiated'),
  count('address', 'publishes', Count.Publishes, S60, 'PUBLISH packets from the address'),
  ratio(
    'address',
    'length',
    Count.Bytes,
    [Count.Frames],
    S60,
    'mean bytes of a frame that the address initiated',
    TAPPED
  ),
  count('address', 'opened', Count.Opened, S10, 'connections opened (SYN)', TAPPED),
  count('address', 'opened', Count.Opened, S60, 'connections opened (SYN)', TAPPED),
  column('address', 'addr_open', 'connections open now', ({ address }) => Math.max(0, address.open), TAPPED),
  count('address', 'half_open', Count.HalfOpen, S60, 'handshakes that the client did not complete', TAPPED),
  count('address', 'connects', Count.Connects, S60, 'CONNECT packets'),
  count('address', 'refusals', Count.Refusals, S60, 'CONNACK packets with a refusal'),
  count('address', 'closed_by_broker', Count.ClosedByBroker, S1, 'connections that the broker closed first', TAPPED),
  count('address', 'resets', Count.Resets, S10, 'RST segments in both directions', TAPPED),
  count('address', 'malformed', Count.Malformed, S60, 'malformed or invalid packets'),
  count('address', 'wide_filters', Count.WideFilters, S60, 'filters with wildcards or $'),
  column(
    'address',
    'addr_topics',
    'different topics published to in the last one to two minutes, up to 1,420',
    ({ address, time }) => address.topics.count(time)
  )
])

const BY_NAME: ReadonlyMap<string, ContextColumn> = new Map(CONTEXT_COLUMNS.map(column => [column.name, column]))
