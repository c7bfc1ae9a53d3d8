// Fields of tshark 4.0 for the columns.
import type { FeatureName } from '../../src/features/schema.js'

/** The tshark 4.0 field of each column that maps to exactly one. */
export const FIELDS: Partial<Record<FeatureName, string>> = {
  packet_length: 'frame.len',
  ip_df_flag: 'ip.flags.df',
  ip_mf_flag: 'ip.flags.mf',
  ip_rb_flag: 'ip.flags.rb',
  tcp_w_size: 'tcp.window_size_value',
  tcp_len: 'tcp.len',
  tcp_pdu_size: 'tcp.pdu.size',
  tcp_ack_flag: 'tcp.flags.ack',
  tcp_cwr_flag: 'tcp.flags.cwr',
  tcp_ecn_flag: 'tcp.flags.ece',
  tcp_fin_flag: 'tcp.flags.fin',
  tcp_push_flag: 'tcp.flags.push',
  tcp_res_flag: 'tcp.flags.res',
  tcp_reset_flag: 'tcp.flags.reset',
  tcp_syn_flag: 'tcp.flags.syn',
  tcp_urg_flag: 'tcp.flags.urg',
  tcp_src_port: 'tcp.srcport',
  tcp_dst_port: 'tcp.dstport',
  tcp_delta: 'tcp.time_delta',
  mqtt_header: 'mqtt.hdrflags',
  mqtt_msg: 'mqtt.msg',
  mqtt_len: 'mqtt.len',
  mqtt_topic_len: 'mqtt.topic_len',
  mqtt_msg_type: 'mqtt.msgtype',
  mqtt_qos_lvl: 'mqtt.qos'
}
