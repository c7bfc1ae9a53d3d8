// Synthetic records for tests: telemetry, bare acknowledgements and a flood.

import { Random } from '../../models/random.js'
import { FEATURES, type FeatureValues } from '../../src/features/schema.js'

/** A record with only the given fields. */
export function values(given: Partial<FeatureValues> = {}): FeatureValues {
  return { ...Object.fromEntries(FEATURES.map(({ name }) => [name, null])), ...given } as FeatureValues
}

function frame(random: Random, given: Partial<FeatureValues>): FeatureValues {
  const length = given.tcp_len ?? 0
  return values({
    packet_length: length + 66,
    src_ip: `192.0.2.${1 + random.integer(20)}`,
    dst_ip: '192.0.2.100',
    ip_len: length + 52,
    ip_df_flag: 1,
    ip_mf_flag: 0,
    ip_rb_flag: 0,
    ttl: 64,
    tcp_w_size: 500 + random.integer(20),
    tcp_len: length,
    tcp_ack_flag: 1,
    tcp_cwr_flag: 0,
    tcp_ecn_flag: 0,
    tcp_fin_flag: 0,
    tcp_ns_flag: 0,
    tcp_push_flag: Number(length > 0),
    tcp_res_flag: 0,
    tcp_reset_flag: 0,
    tcp_syn_flag: 0,
    tcp_urg_flag: 0,
    tcp_src_port: 40_000 + random.integer(1000),
    tcp_dst_port: 1883,
    tcp_delta: 0.5 + random.uniform(),
    l20_avg: 0.8 + 0.1 * random.uniform(),
    ...given
  })
}

function publish(random: Random, payload: Uint8Array, given: Partial<FeatureValues>): FeatureValues {
  const topicLength = 10 + random.integer(3)
  const length = payload.length + topicLength + 2
  return frame(random, {
    tcp_len: length + 2,
    tcp_pdu_size: length + 2,
    mqtt_header: 0x30,
    mqtt_msg: payload,
    mqtt_len: length,
    mqtt_topic_len: topicLength,
    mqtt_msg_type: 3,
    mqtt_qos_lvl: 0,
    ...given
  })
}

/** Sensors that publish JSON occasionally, with an acknowledgement after each. */
export function telemetry(count: number, seed: number): FeatureValues[] {
  const random = new Random(seed)
  return Array.from({ length: count }, (_, i) =>
    i % 2 === 0
      ? publish(random, Buffer.from(`{"t":${random.integer(400) / 10},"h":${random.integer(100)}}`), {})
      : frame(random, {})
  )
}

/** Random bytes, published at full speed. */
export function flood(count: number, seed: number): FeatureValues[] {
  const random = new Random(seed)
  return Array.from({ length: count }, () =>
    publish(
      random,
      Uint8Array.from({ length: 30 }, () => random.integer(256)),
      { tcp_delta: 1e-5, l20_avg: 1e-4 }
    )
  )
}
