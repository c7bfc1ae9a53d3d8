// Known and intended differences from tshark, each with its reason.
import type { FeatureName } from '../../src/features/schema.js'
import type { OwnRecord } from './own-records.js'
import type { ReferenceFrame } from './tshark.js'

/** A frame on which the decoders differ, evaluated after the whole capture was read. */
export interface DifferingFrame {
  reference: ReferenceFrame
  /** Our record; null if there is none. */
  own: OwnRecord | null
  expected: ReadonlyMap<FeatureName, string>
  columns: readonly FeatureName[]
}

/** A kind of intended difference. */
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

/** All exceptions. */
export const EXCEPTIONS: readonly ListedException[] = [
  {
    name: 'QoS of MQTT 3.1',
    reason:
      'In MQTT 3.1, PUBREL, SUBSCRIBE and UNSUBSCRIBE also have a QoS, which tshark shows. The column is only for PUBLISH.',
    applies: ({ columns, expected }) =>
      isOnly(columns, 'mqtt_qos_lvl') && ['6', '8', '10'].includes(expected.get('mqtt_msg_type') ?? '')
  },
  {
    name: 'reserved bits',
    reason: 'tshark shows the three reserved TCP bits as a boolean. The column has their value.',
    applies: ({ columns, expected }) => isOnly(columns, 'tcp_res_flag') && expected.get('tcp_res_flag') === '1'
  },
  {
    name: 'gap or mid-stream',
    reason:
      'After missing bytes, and if a capture starts mid-stream, tshark treats the next segment as the start of a packet. Our decoder resumes at a certain packet boundary.',
    applies: ({ columns, own }) => own !== null && own.doubts.incomplete && isMqttOnly(columns)
  },
  {
    name: 'CONNECT in a gap',
    reason:
      'If part of the CONNECT is missing, only one decoder may know the version, and with it the end of the MQTT 5 properties.',
    applies: ({ columns, own }) => own !== null && own.otherDoubts.incomplete && isOnly(columns, 'mqtt_msg')
  },
  {
    name: 'cut by the snap length',
    reason:
      'tshark does not reassemble truncated segments and treats later ones as the start of a packet. Our decoder skips a packet of known length.',
    applies: ({ columns, own }) => own !== null && own.doubts.cut && isMqttOnly(columns)
  },
  {
    name: 'split remaining length',
    reason:
      'If a segment ends within the remaining length of a packet, tshark misreads it and the rest of the connection.',
    applies: ({ columns, own }) => own !== null && own.doubts.splitLength && isMqttOnly(columns)
  },
  {
    name: 'malformed remaining length',
    reason:
      'A remaining length of more than four bytes is malformed [MQTT-1.5.5-1]. Our decoder stops decoding the direction, tshark continues.',
    applies: ({ columns, own }) => own !== null && own.doubts.malformed && isMqttOnly(columns)
  },
  {
    name: 'TLS',
    reason:
      'A stream that starts with a TLS record has no MQTT columns. tshark is configured to decode its port as MQTT.',
    applies: ({ columns, own }) => own !== null && own.join === 'none' && isMqttOnly(columns)
  },
  {
    name: 'no PDU size',
    reason:
      'If an out-of-order segment is reassembled with the previous one, tshark shows the packet and its length, but sometimes no tcp.pdu.size.',
    applies: ({ columns, expected }) =>
      isOnly(columns, 'tcp_pdu_size') && expected.get('tcp_pdu_size') === '' && expected.get('mqtt_len') !== ''
  },
  {
    name: 'tunnel or ICMP',
    reason: 'TCP inside another IP packet or in an ICMP error is not a frame of the stream.',
    applies: ({ reference, own }) =>
      own === null && (reference.ipLayers > 1 || reference.layers.has('icmp') || reference.layers.has('icmpv6'))
  },
  {
    name: 'broken TCP header',
    reason:
      'A TCP header that is truncated or has an inconsistent length is dropped by every receiver, so it has no record.',
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

/** Returns the exception that explains the differences of a frame, or null. */
export function exceptionOf(frame: DifferingFrame): ListedException | null {
  return EXCEPTIONS.find(exception => exception.applies(frame)) ?? null
}
