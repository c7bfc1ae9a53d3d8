// Builds the record of a control packet without a tap: the wire columns are null.

import { mqttFeatures } from '../features/extractor.js'
import type { ContextTracker } from '../features/context.js'
import type { FeatureValues } from '../features/schema.js'
import { clientEndpoint, type Peer, type TrafficRecord } from '../record.js'
import type { Direction, MqttPacket } from '../types.js'
import { isInitiated } from '../decode/initiated.js'
import { isOwnPacket } from './own-traffic.js'

const MICROSECONDS = 1e6

const NO_WIRE_FEATURES = Object.freeze({
  packet_length: null,
  ip_len: null,
  ip_df_flag: null,
  ip_mf_flag: null,
  ip_rb_flag: null,
  ttl: null,
  tcp_w_size: null,
  tcp_len: null,
  tcp_ack_flag: null,
  tcp_cwr_flag: null,
  tcp_ecn_flag: null,
  tcp_fin_flag: null,
  tcp_ns_flag: null,
  tcp_push_flag: null,
  tcp_res_flag: null,
  tcp_reset_flag: null,
  tcp_syn_flag: null,
  tcp_urg_flag: null,
  tcp_delta: null,
  l20_avg: null
})

/**
 * Builds a record from a packet.
 *
 * @param connection identifies the connection for the context
 * @param timeMs when the broker processed the packet, epoch milliseconds
 */
export function packetRecord(
  connection: object,
  peer: Peer,
  direction: Direction,
  timeMs: number,
  packet: MqttPacket,
  context: ContextTracker
): TrafficRecord {
  const microseconds = Math.round(timeMs * 1_000)
  const seconds = Math.floor(microseconds / MICROSECONDS)
  const nanoseconds = (microseconds - seconds * MICROSECONDS) * 1_000
  const own = isOwnPacket(direction, packet)
  const features = packetFeatures(peer, direction, packet)
  return {
    frame: null,
    seconds,
    nanoseconds,
    features: own
      ? features
      : {
          ...features,
          context: context.push({
            connection,
            client: clientEndpoint(peer),
            seconds,
            nanoseconds,
            direction,
            packets: [packet],
            frame: null
          })
        },
    join: 'none',
    direction,
    peer,
    packets: 1,
    initiated: isInitiated(packet) ? 1 : 0,
    own
  }
}

function packetFeatures(peer: Peer, direction: Direction, packet: MqttPacket): FeatureValues {
  const [source, destination] = direction === 'in' ? [peer.client, peer.broker] : [peer.broker, peer.client]
  return {
    ...NO_WIRE_FEATURES,
    src_ip: source.address,
    dst_ip: destination.address,
    tcp_src_port: source.port,
    tcp_dst_port: destination.port,
    ...mqttFeatures(packet)
  }
}
