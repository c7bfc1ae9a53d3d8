// The ordered list of the 31 features of the paper's Table I.

import type { RecordContext } from './record-context.js'

/** Protocol layer of a feature. `frame` is the paper's "-". */
export type Layer = 'frame' | 'ip' | 'tcp' | 'mqtt'

/** One row of Table I. */
export interface FeatureColumn {
  readonly name: FeatureName
  readonly layer: Layer
  /** An address or port: identifies the sender, not its behaviour. The main results exclude these. */
  readonly identity: boolean
  /** Requires a tap. */
  readonly wire: boolean
}

/**
 * The values of one record; null if the frame does not have the field. Lengths in bytes, flags 0 or 1, times in
 * seconds.
 */
export interface FeatureValues {
  packet_length: number | null
  src_ip: string | null
  dst_ip: string | null
  ip_len: number | null
  ip_df_flag: number | null
  ip_mf_flag: number | null
  ip_rb_flag: number | null
  ttl: number | null
  tcp_w_size: number | null
  tcp_len: number | null
  tcp_pdu_size: number | null
  tcp_ack_flag: number | null
  tcp_cwr_flag: number | null
  tcp_ecn_flag: number | null
  tcp_fin_flag: number | null
  tcp_ns_flag: number | null
  tcp_push_flag: number | null
  tcp_res_flag: number | null
  tcp_reset_flag: number | null
  tcp_syn_flag: number | null
  tcp_urg_flag: number | null
  tcp_src_port: number | null
  tcp_dst_port: number | null
  tcp_delta: number | null
  l20_avg: number | null
  mqtt_header: number | null
  mqtt_msg: Uint8Array | null
  mqtt_len: number | null
  mqtt_topic_len: number | null
  mqtt_msg_type: number | null
  mqtt_qos_lvl: number | null
}

/** The values of one record, with its data beyond Table I. */
export interface RecordFeatures extends FeatureValues {
  /** Context and payload columns; undefined if connections were not tracked. */
  context?: RecordContext
}

/** Name of a feature, as in Table I. */
export type FeatureName = keyof FeatureValues

function column(name: FeatureName, layer: Layer, traits: { identity?: boolean; wire?: boolean } = {}): FeatureColumn {
  const { identity = false, wire = layer !== 'mqtt' } = traits
  return Object.freeze({ name, layer, identity, wire })
}

/** The 31 features in the order of Table I and of all files that this program writes. */
export const FEATURES: readonly FeatureColumn[] = Object.freeze([
  column('packet_length', 'frame'),
  column('src_ip', 'ip', { identity: true, wire: false }),
  column('dst_ip', 'ip', { identity: true, wire: false }),
  column('ip_len', 'ip'),
  column('ip_df_flag', 'ip'),
  column('ip_mf_flag', 'ip'),
  column('ip_rb_flag', 'ip'),
  column('ttl', 'ip'),
  column('tcp_w_size', 'tcp'),
  column('tcp_len', 'tcp'),
  column('tcp_pdu_size', 'tcp', { wire: false }),
  column('tcp_ack_flag', 'tcp'),
  column('tcp_cwr_flag', 'tcp'),
  column('tcp_ecn_flag', 'tcp'),
  column('tcp_fin_flag', 'tcp'),
  column('tcp_ns_flag', 'tcp'),
  column('tcp_push_flag', 'tcp'),
  column('tcp_res_flag', 'tcp'),
  column('tcp_reset_flag', 'tcp'),
  column('tcp_syn_flag', 'tcp'),
  column('tcp_urg_flag', 'tcp'),
  column('tcp_src_port', 'tcp', { identity: true, wire: false }),
  column('tcp_dst_port', 'tcp', { identity: true, wire: false }),
  column('tcp_delta', 'tcp'),
  column('l20_avg', 'tcp'),
  column('mqtt_header', 'mqtt'),
  column('mqtt_msg', 'mqtt'),
  column('mqtt_len', 'mqtt'),
  column('mqtt_topic_len', 'mqtt'),
  column('mqtt_msg_type', 'mqtt'),
  column('mqtt_qos_lvl', 'mqtt')
])
