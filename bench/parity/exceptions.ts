// Where a difference from tshark is known and meant: one table, each with its reason.
import type { FeatureName } from '../../src/features/schema.js'
import type { OwnRecord } from './own.js'
import type { ReferenceFrame } from './tshark.js'

/** A frame on which the two decoders differ, judged when the whole capture was read. */
export interface DifferingFrame {
  reference: ReferenceFrame
  /** Our record; null where there is none. */
  own: OwnRecord | null
  expected: ReadonlyMap<FeatureName, string>
  columns: readonly FeatureName[]
}

/** A kind of frame on which tshark is not followed. */
export interface ListedException {
  name: string
  reason: string
  applies(frame: DifferingFrame): boolean
}

const MQTT_COLUMNS: ReadonlySet<FeatureName> = new Set<FeatureName>([
  'tcp_pdu_size',
  'mqtt_header',
  'mqtt_msg',
  'mqtt_len',
  'mqtt_topic_len',
  'mqtt_msg_type',
  'mqtt_qos_lvl'
])

/** All of them. */
export const EXCEPTIONS: readonly ListedException[] = [
  {
    name: 'QoS of MQTT 3.1',
    reason:
      'In MQTT 3.1 the flags of PUBREL, SUBSCRIBE and UNSUBSCRIBE hold a QoS too, and tshark shows it; the column is that of a PUBLISH.',
    applies: ({ columns, expected }) =>
      isOnly(columns, 'mqtt_qos_lvl') && ['6', '8', '10'].includes(expected.get('mqtt_msg_type') ?? '')
  },
  {
    name: 'reserved bits',
    reason: 'tshark shows the three reserved bits of TCP as a yes or no; the column holds their number.',
    applies: ({ columns, expected }) => isOnly(columns, 'tcp_res_flag') && expected.get('tcp_res_flag') === '1'
  },
  {
    name: 'gap or mid-stream',
    reason:
      'After missing bytes, and where a capture begins inside a connection, tshark takes the next segment for the beginning of a packet; here decoding resumes at a sure boundary.',
    applies: ({ columns, own }) => own !== null && own.doubts.incomplete && isMqttOnly(columns)
  },
  {
    name: 'CONNECT in a gap',
    reason:
      'Where part of the CONNECT was missed, one of the two may know the version and with it where the properties of MQTT 5 end, the other not.',
    applies: ({ columns, own }) => own !== null && own.otherDoubts.incomplete && isOnly(columns, 'mqtt_msg')
  },
  {
    name: 'cut by the snap length',
    reason:
      'tshark does not put segments together whose bytes were not all captured, and takes later ones for the beginning of a packet; here a packet of known length is stepped over.',
    applies: ({ columns, own }) => own !== null && own.doubts.cut && isMqttOnly(columns)
  },
  {
    name: 'split remaining length',
    reason:
      'Where a segment ends within the remaining length of a packet, tshark misreads it and the rest of the connection.',
    applies: ({ columns, own }) => own !== null && own.doubts.splitLength && isMqttOnly(columns)
  },
  {
    name: 'malformed remaining length',
    reason:
      'A remaining length of more than four bytes is no MQTT [MQTT-1.5.5-1]; here the direction ends there, tshark reads on.',
    applies: ({ columns, own }) => own !== null && own.doubts.malformed && isMqttOnly(columns)
  },
  {
    name: 'TLS',
    reason: 'A stream that opens with a TLS record has no MQTT columns; tshark was told to read its port as MQTT.',
    applies: ({ columns, own }) => own !== null && own.join === 'none' && isMqttOnly(columns)
  },
  {
    name: 'no PDU size',
    reason:
      'Where an early segment is put together with the one before it, tshark shows the packet and its length, but at times no tcp.pdu.size.',
    applies: ({ columns, expected }) =>
      isOnly(columns, 'tcp_pdu_size') && expected.get('tcp_pdu_size') === '' && expected.get('mqtt_len') !== ''
  },
  {
    name: 'tunnel or ICMP',
    reason: 'TCP inside another IP packet or quoted in an ICMP error is not a frame of the stream.',
    applies: ({ reference, own }) =>
      own === null && (reference.ipLayers > 1 || reference.layers.has('icmp') || reference.layers.has('icmpv6'))
  },
  {
    name: 'broken TCP header',
    reason:
      'A TCP header that is cut off, or whose length contradicts the segment, is dropped by every receiver and is no record.',
    applies: ({ reference, own }) =>
      own === null && !(reference.fields.has('tcp.time_delta') && reference.fields.has('tcp.len'))
  },
  {
    name: 'IPv4-mapped address',
    reason: 'An IPv4-mapped IPv6 address is written as IPv4, so that one client has one name.',
    applies: ({ columns, own, expected }) =>
      own !== null && columns.every(name => expected.get(name)?.startsWith('::ffff:') === true)
  }
]

function isOnly(columns: readonly FeatureName[], name: FeatureName): boolean {
  return columns.length === 1 && columns[0] === name
}

function isMqttOnly(columns: readonly FeatureName[]): boolean {
  return columns.every(name => MQTT_COLUMNS.has(name))
}

/** The exception that explains a frame's differences, or null. */
export function exceptionOf(frame: DifferingFrame): ListedException | null {
  return EXCEPTIONS.find(exception => exception.applies(frame)) ?? null
}
