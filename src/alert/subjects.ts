// Who a record is held against: the gateway as a whole, and the client that sent it.

import { originOf, type Peer, type TrafficRecord } from '../record.js'

/** A scored batch, as one subject had part in it. */
export interface Share {
  /** Sum of the records' outlier probabilities, and how many they are. */
  total: number
  count: number
  /**
   * The same with each record counted once for each control packet that its sender initiated, at least
   * once and at most {@link PACKET_CAP} times: a flood packs many packets into one frame, and so does a
   * device that empties its queue after it was away.
   */
  packetTotal: number
  packets: number
  /** The record with the highest probability. */
  worst: TrafficRecord
  worstProbability: number
  /** The numbers by which the broker knows the connections that the records came over. */
  connections: Set<number>
}

/** Key of the gateway. */
export const GATEWAY = 'gateway'

/**
 * A client is an address and a client id together: many devices share an address behind a router or
 * on loopback, and an attacker may take any client id it likes, but cannot take a victim's address too.
 * Before its CONNECT a connection stands for itself alone, lest one that never sends a CONNECT drags
 * others from its address along.
 */
export function clientKey(peer: Peer): string {
  const { clientId } = peer
  const { address, port } = originOf(peer)
  return clientId === null ? `${address}:${port}` : `${address} ${clientId}`
}

/** Packets that a frame counts for at most. */
export const PACKET_CAP = 4

/**
 * Divides a batch among its subjects. Only what a client sent of its own accord is held against it: what
 * the broker sends to a dashboard may be an attacker's payload, and so the dashboard's acknowledgements
 * are the attacker's doing; held against it, they would get it thrown out.
 *
 * @param probabilities one per record; NaN where no model could judge the record
 * @param ownProbabilities the same by what the record says itself, which its client is held to
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

/** Whether a record carries nothing but acknowledgements, of TCP or of MQTT, or takes its leave. */
function isAnswer({ packets, initiated, features }: TrafficRecord): boolean {
  if (packets > 0) return initiated === 0
  return features.tcp_len === 0 && features.tcp_syn_flag === 0
}

/** Puts a later share of the same subject onto an earlier one. */
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
