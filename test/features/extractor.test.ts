// The 31 features of a frame, and their output lines.
import t from 'tap'
import { TcpStreams } from '../../src/decode/tcp-streams.js'
import { extractFeatures } from '../../src/features/extractor.js'
import { recordWriter } from '../../src/features/record-writer.js'
import { FEATURES } from '../../src/features/schema.js'
import type { FeatureValues } from '../../src/features/schema.js'
import type { TrafficRecord } from '../../src/record.js'
import type { MqttPacket, TcpFrame } from '../../src/types.js'
import { PORTS, captured, decodeTcp, ethernetBytes, ipv6Bytes, tcpBytes, tcpFrame } from '../decode/craft.js'

const packet: MqttPacket = {
  header: 0x3d,
  remainingLength: 10,
  size: 12,
  end: 12,
  topicLength: 3,
  topic: Buffer.from('a/b'),
  payload: Buffer.from([0xab, 0, 1]),
  payloadLength: 3,
  facts: 0,
  clientHash: 0,
  willHash: 0
}

function valuesOf(frame: TcpFrame, mqtt: MqttPacket | null): FeatureValues {
  return extractFeatures(new TcpStreams(PORTS).push(frame), mqtt)
}

t.test('every flag has its own column', async t => {
  const columns: [keyof FeatureValues, number][] = [
    ['tcp_fin_flag', 1],
    ['tcp_syn_flag', 2],
    ['tcp_reset_flag', 4],
    ['tcp_push_flag', 8],
    ['tcp_ack_flag', 16],
    ['tcp_urg_flag', 32],
    ['tcp_ecn_flag', 64],
    ['tcp_cwr_flag', 128],
    ['tcp_ns_flag', 256]
  ]
  for (const [name, flags] of columns) {
    const values = valuesOf(tcpFrame({ flags }), null)
    for (const [other] of columns) t.equal(values[other], other === name ? 1 : 0, `${name}: ${other}`)
    t.equal(values.tcp_res_flag, 0)
  }
  t.equal(valuesOf(tcpFrame({ flags: 0xa00 }), null).tcp_res_flag, 5)
})

t.test('the columns of a PUBLISH', async t => {
  t.match(valuesOf(tcpFrame({ payload: Buffer.alloc(12) }), packet), {
    packet_length: 66,
    src_ip: '10.0.0.2',
    dst_ip: '10.0.0.1',
    ip_len: 52,
    ip_df_flag: 1,
    ip_mf_flag: 0,
    ip_rb_flag: 0,
    ttl: 64,
    tcp_w_size: 512,
    tcp_len: 12,
    tcp_pdu_size: 12,
    tcp_src_port: 40_000,
    tcp_dst_port: 1883,
    tcp_delta: 0,
    l20_avg: 0,
    mqtt_header: 0x3d,
    mqtt_len: 10,
    mqtt_topic_len: 3,
    mqtt_msg_type: 3,
    mqtt_qos_lvl: 2
  })
  const others = valuesOf(tcpFrame({}), { ...packet, header: 0x82, payload: null })
  t.match(others, { mqtt_msg: null, mqtt_topic_len: 3, mqtt_msg_type: 8, mqtt_qos_lvl: null })
})

t.test('columns without a value in the frame are null', async t => {
  const values = valuesOf(tcpFrame({}), null)
  for (const { name, layer } of FEATURES) {
    const isMissing = layer === 'mqtt' || name === 'tcp_pdu_size'
    t.equal(values[name] === null, isMissing, name)
  }
  const frame = decodeTcp(captured(ethernetBytes(ipv6Bytes(tcpBytes({})), { ethertype: 0x86dd })), 1, PORTS)
  t.match(valuesOf(frame as TcpFrame, null), {
    src_ip: '2001:db8::1',
    ip_len: 60,
    ip_df_flag: null,
    ip_mf_flag: null,
    ip_rb_flag: null,
    ttl: 64
  })
})

function recordOf(values: Partial<FeatureValues>, nanoseconds = 42_000): TrafficRecord {
  return {
    frame: 7,
    seconds: 1_700_000_000,
    nanoseconds,
    features: { ...valuesOf(tcpFrame({ payload: Buffer.alloc(12) }), packet), ...values },
    join: 'decoded',
    direction: 'in',
    peer: {
      client: { address: '10.0.0.2', port: 40_000 },
      broker: { address: '10.0.0.1', port: 1883 },
      connection: null,
      clientId: null,
      username: null
    },
    packets: 1,
    initiated: 1,
    own: false
  }
}

t.test('CSV', async t => {
  const writer = recordWriter('csv', false)
  t.equal(writer.header, `frame,time,${FEATURES.map(({ name }) => name).join(',')}\n`)
  t.equal(
    writer.line(recordOf({ tcp_delta: 1.5 }), 'x'),
    '7,1700000000.000042,66,10.0.0.2,10.0.0.1,52,1,0,0,64,512,12,12,1,0,0,0,0,0,0,0,0,0,40000,1883,1.500000,0.000000,61,ab0001,10,3,3,2\n'
  )
  t.match(writer.line(recordOf({ mqtt_msg: new Uint8Array(0), mqtt_qos_lvl: null }), 'x'), /,61,,10,3,3,\n$/)
  t.match(writer.line(recordOf({ tcp_delta: -0.000000123, l20_avg: 0.1 / 3 }), 'x'), /,-0\.000000123,0\.033333333333,/)
  t.match(writer.line(recordOf({}, 999_999_999), 'x'), /^7,1700000000\.999999,/)
  t.match(writer.line(recordOf({}, 0), 'x'), /^7,1700000000\.000000,/)
})

t.test('several files add a first column', async t => {
  const writer = recordWriter('csv', true)
  t.match(writer.header, /^file,frame,time,/)
  t.match(writer.line(recordOf({}), 'a.pcap'), /^a\.pcap,7,/)
  t.match(writer.line(recordOf({}), 'a,"b".pcap'), /^"a,""b"".pcap",7,/)
})

t.test('NDJSON has the same values', async t => {
  const record = recordOf({ ip_df_flag: null, tcp_delta: 0.25 })
  const parsed = JSON.parse(recordWriter('ndjson', false).line(record, 'x')) as Record<string, unknown>
  t.same(Object.keys(parsed), ['frame', 'time', ...FEATURES.map(({ name }) => name)])
  t.match(parsed, {
    frame: 7,
    time: 1_700_000_000.000042,
    src_ip: '10.0.0.2',
    ip_df_flag: null,
    tcp_delta: 0.25,
    mqtt_msg: 'ab0001'
  })
  t.equal(recordWriter('ndjson', false).header, '')
  t.match(JSON.parse(recordWriter('ndjson', true).line(record, 'a"b')), { file: 'a"b', frame: 7 })
})

t.test('written numbers parse back exactly', async t => {
  const writer = recordWriter('csv', false)
  const streams = new TcpStreams(PORTS)
  for (let i = 0; i < 200; i++) {
    const frame = streams.push(
      tcpFrame({ sourcePort: 1000 + (i % 3) }, i, 1_700_000_000 + i * 0.123456789 + (i % 7) / 1e9)
    )
    const fields = writer.line(recordOf(extractFeatures(frame, null)), '').split(',')
    t.equal(Number(fields[2 + 23]), frame.delta)
    t.equal(Number(fields[2 + 24]), frame.l20Average)
  }
})
