// Attributes records to subjects: the gateway, and the client that sent them.

import { clientEndpoint, type Peer, type TrafficRecord } from '../record.js'

/** The part of a scored batch that belongs to one subject. */
export interface Share {
  /** Sum of the records' outlier probabilities, and the number of records. */
  total: number
  count: number
  /**
   * The same sums with each record counted once per control packet that its sender initiated, from 1 up to {@link
   * PACKET_CAP}: a flood packs many packets into one frame, and so does a device that empties its queue after an
   * outage.
   */
  packetTotal: number
  packets: number
  /** The record with the highest probability. */
  worst: TrafficRecord
  worstProbability: number
  /** The broker's numbers of the connections that carried the records. */
  connections: Set<number>
}

/** Key of the gateway. */
export const GATEWAY = 'gateway'

/**
 * Returns the key of a client: its address and client id together. Many devices share an address behind a router or on
 * loopback, and an attacker can choose any client id but not the victim's address. Before its CONNECT a connection has
 * a key of its own. Otherwise a connection that never sends CONNECT would affect others at its address.
 */
export function clientKey(peer: Peer): string {
  const { clientId } = peer
  const { address, port } = clientEndpoint(peer)
  return clientId === null ? `${address}:${port}` : `${address} ${clientId}`
}

/** Maximum number of packets that a frame counts for. */
export const PACKET_CAP = 4

/**
 * Splits a batch among its subjects. A client is charged only with packets that it initiated. A message that the broker
 * forwards to a dashboard may be an attacker's payload. The dashboard's acknowledgements are then caused by the
 * attacker and must not get the dashboard disconnected.
 *
 * @param probabilities one per record; NaN if no model could score the record
 * @param ownProbabilities the same without the records that each record answers or forwards; charged to its client
 */
export function sharesOf(
  records: readonly TrafficRecord[],
  probabilities: ArrayLike<number>,
  ownProbabilities = probabilities
): Map<string, Share> {
  const shares = new Map<string, Share>()
  for (let i = 0; i < records.length; i++) {
    if (Number.isNaN(probabilities[i])) continue
    add(shares, GATEWAY, records[i], probabilities[i])
    if (records[i].direction === 'in' && !isAnswer(records[i]))
      add(shares, clientKey(records[i].peer), records[i], ownProbabilities[i])
  }
  return shares
}

function add(shares: Map<string, Share>, key: string, record: TrafficRecord, probability: number): void {
  let share = shares.get(key)
  if (share === undefined) {
    share = {
      total: 0,
      count: 0,
      packetTotal: 0,
      packets: 0,
      worst: record,
      worstProbability: -1,
      connections: new Set()
    }
    shares.set(key, share)
  }
  const packets = Math.min(PACKET_CAP, Math.max(1, record.initiated))
  share.total += probability
  share.count++
  share.packetTotal += probability * packets
  share.packets += packets
  if (probability > share.worstProbability) {
    share.worst = record
    share.worstProbability = probability
  }
  if (record.peer.connection !== null) share.connections.add(record.peer.connection)
}

/** Whether a record carries only acknowledgements, of TCP or of MQTT, or a FIN or RST. */
function isAnswer({ packets, initiated, features }: TrafficRecord): boolean {
  if (packets > 0) return initiated === 0
  return features.tcp_len === 0 && features.tcp_syn_flag === 0
}

/** Adds a later share of the same subject to an earlier one. */
export function mergeShares(earlier: Share, later: Share): Share {
  const worse = later.worstProbability > earlier.worstProbability ? later : earlier
  return {
    total: earlier.total + later.total,
    count: earlier.count + later.count,
    packetTotal: earlier.packetTotal + later.packetTotal,
    packets: earlier.packets + later.packets,
    worst: worse.worst,
    worstProbability: worse.worstProbability,
    connections: new Set([...earlier.connections, ...later.connections])
  }
}
