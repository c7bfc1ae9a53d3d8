// Extracts the 31 features from a frame and its MQTT packet.
import { PacketType } from '../decode/packet-types.js'
import { TCP_ACK, TCP_CWR, TCP_ECE, TCP_FIN, TCP_NS, TCP_PSH, TCP_RST, TCP_SYN, TCP_URG } from '../decode/tcp.js'
import type { MqttPacket, StreamFrame } from '../types.js'
import type { FeatureValues } from './schema.js'

const RESERVED_SHIFT = 9

/** The MQTT columns of a record without a packet. */
const NO_PACKET = Object.freeze({
  tcp_pdu_size: null,
  mqtt_header: null,
  mqtt_msg: null,
  mqtt_len: null,
  mqtt_topic_len: null,
  mqtt_msg_type: null,
  mqtt_qos_lvl: null
})

/** Returns the 31 features of a frame. `packet` is the first packet that it completes, or null. */
export function extractFeatures(streamFrame: StreamFrame, packet: MqttPacket | null): FeatureValues {
  const { frame, delta, l20Average } = streamFrame
  const { ip, tcp } = frame
  const { flags } = tcp
  const mqtt = packet === null ? NO_PACKET : mqttFeatures(packet)
  return {
    packet_length: frame.wireLength,
    src_ip: ip.source,
    dst_ip: ip.destination,
    ip_len: ip.length,
    ip_df_flag: ip.dontFragment,
    ip_mf_flag: ip.moreFragments,
    ip_rb_flag: ip.reservedBit,
    ttl: ip.ttl,
    tcp_w_size: tcp.window,
    tcp_len: frame.payloadLength,
    tcp_pdu_size: mqtt.tcp_pdu_size,
    tcp_ack_flag: bit(flags, TCP_ACK),
    tcp_cwr_flag: bit(flags, TCP_CWR),
    tcp_ecn_flag: bit(flags, TCP_ECE),
    tcp_fin_flag: bit(flags, TCP_FIN),
    tcp_ns_flag: bit(flags, TCP_NS),
    tcp_push_flag: bit(flags, TCP_PSH),
    tcp_res_flag: flags >> RESERVED_SHIFT,
    tcp_reset_flag: bit(flags, TCP_RST),
    tcp_syn_flag: bit(flags, TCP_SYN),
    tcp_urg_flag: bit(flags, TCP_URG),
    tcp_src_port: tcp.sourcePort,
    tcp_dst_port: tcp.destinationPort,
    tcp_delta: delta,
    l20_avg: l20Average,
    mqtt_header: mqtt.mqtt_header,
    mqtt_msg: mqtt.mqtt_msg,
    mqtt_len: mqtt.mqtt_len,
    mqtt_topic_len: mqtt.mqtt_topic_len,
    mqtt_msg_type: mqtt.mqtt_msg_type,
    mqtt_qos_lvl: mqtt.mqtt_qos_lvl
  }
}

/** The columns that only depend on the MQTT packet. */
export type MqttFeatures = Pick<FeatureValues, keyof typeof NO_PACKET>

/** Returns the seven columns of an MQTT packet, for records with and without a tap. */
export function mqttFeatures(packet: MqttPacket): MqttFeatures {
  const type = packet.header >> 4
  return {
    tcp_pdu_size: packet.size,
    mqtt_header: packet.header,
    mqtt_msg: packet.payload,
    mqtt_len: packet.remainingLength,
    mqtt_topic_len: packet.topicLength,
    mqtt_msg_type: type,
    mqtt_qos_lvl: type === PacketType.PUBLISH ? (packet.header >> 1) & 3 : null
  }
}

function bit(flags: number, mask: number): number {
  return (flags & mask) === 0 ? 0 : 1
}
