// Attribution of records to subjects, and how the shares of several batches are combined for each client.

import t from 'tap'
import type { Baselines } from '../../src/alert/baselines.js'
import { Smoothing } from '../../src/alert/smoothing.js'
import { clientKey, GATEWAY, PACKET_CAP, sharesOf, type Share } from '../../src/alert/subjects.js'
import type { TrafficRecord } from '../../src/record.js'
import { peer, record } from '../support/records.js'

const A = peer('a', 1)
const B = peer('b', 2)
const ELSEWHERE = peer('a', 3, '192.0.2.8')

t.test('a batch is split among the gateway and the sending clients', async t => {
  const records = [
    record(0, { peer: A }),
    record(0, { peer: A }),
    record(0, { peer: B }),
    record(0, { peer: B, direction: 'out' }),
    record(0, { peer: ELSEWHERE }),
    record(0, { peer: peer(null, null) }),
    record(0, { peer: A })
  ]
  const shares = sharesOf(records, [0.1, 0.5, 0.2, 0.9, 0.3, 0.4, NaN])
  t.same([...shares.keys()].sort(), ['192.0.2.7:50000', '192.0.2.7 a', '192.0.2.7 b', '192.0.2.8 a', GATEWAY].sort())
  t.match(shares.get(GATEWAY), { count: 6, worst: records[3], worstProbability: 0.9, connections: new Set([1, 2, 3]) })
  t.ok(Math.abs((shares.get(GATEWAY)?.total ?? 0) - 2.4) < 1e-12)
  t.match(shares.get(clientKey(A)), {
    total: 0.6,
    count: 2,
    worst: records[1],
    worstProbability: 0.5,
    connections: new Set([1])
  })
  t.match(shares.get(clientKey(B)), { total: 0.2, count: 1 }, 'packets sent to a client are not charged to it')
  t.match(
    shares.get(clientKey(ELSEWHERE)),
    { count: 1, connections: new Set([3]) },
    'the same client id at another address is another client'
  )
  t.match(shares.get('192.0.2.7:50000'), { count: 1, connections: new Set() })
  t.same(sharesOf([records[0]], [NaN]), new Map(), 'a record without a score is charged to no subject')
  t.equal(sharesOf([records[0]], [0]).get(GATEWAY)?.worst, records[0])
})

t.test('acknowledgements are not charged to a client, bursts only up to a cap', async t => {
  const wire = (values: object): TrafficRecord['features'] => ({ ...record(0).features, ...values })
  const sent = (packets: number, initiated: number, features = record(0).features): TrafficRecord => ({
    ...record(0, { peer: A, features }),
    packets,
    initiated
  })
  const acknowledgements = sent(30, 0)
  const bareAck = sent(0, 0, wire({ tcp_len: 0, tcp_syn_flag: 0 }))
  const hidden = sent(30, 29)
  const syn = sent(0, 0, wire({ tcp_len: 0, tcp_syn_flag: 1 }))
  const part = sent(0, 0, wire({ tcp_len: 1_448, tcp_syn_flag: 0 }))
  const probabilities = [0.9, 0.9, 0.5, 0.25, 0.25]
  const shares = sharesOf([acknowledgements, bareAck, hidden, syn, part], probabilities)
  t.match(
    shares.get(clientKey(A)),
    { count: 3, total: 1, packets: PACKET_CAP + 2, packetTotal: 0.5 * PACKET_CAP + 0.5 },
    'a leading acknowledgement does not hide a flood'
  )
  t.match(shares.get(GATEWAY), { count: 5 }, 'the gateway is charged with all')
})

t.test('a score caused by another client counts for the gateway only', async t => {
  const shares = sharesOf([record(0, { peer: A })], [0.9], [0.2])
  t.match(shares.get(GATEWAY), { total: 0.9, worstProbability: 0.9 })
  t.match(shares.get(clientKey(A)), { total: 0.2, worstProbability: 0.2 })
})

const LIMITS = { jump: 1, level: 1, cusum: 100 }
const BASELINES: Baselines = {
  gateway: { mean: 0, reference: 0, limits: LIMITS },
  client: { mean: 0, reference: 0, limits: LIMITS }
}

function share(count: number, probability: number, connection = 1): Share {
  const worst: TrafficRecord = record(0, { peer: peer('a', connection) })
  return {
    total: count * probability,
    count,
    packetTotal: count * probability,
    packets: count,
    worst,
    worstProbability: probability,
    connections: new Set([connection])
  }
}

t.test("a client's records are combined until there are enough packets", async t => {
  const smoothing = new Smoothing(BASELINES, { weight: 0.5, minimumClientPackets: 10, clientCap: 100 })
  const seen: { key: string; share: Share; average: number; current: number }[] = []
  const update = (key: string, part: Share) => {
    smoothing.update(new Map([[key, part]]), (key, share, { average, current }) => {
      seen.push({ key, share, average, current })
    })
    return seen.splice(0)
  }
  t.same(update('a', share(4, 0.5, 1)), [])
  t.same(update('b', share(9, 1)), [])
  t.same(update('a', share(5, 1, 2)), [])
  const [combined, ...rest] = update('a', share(3, 0, 3))
  t.same(rest, [])
  t.match(combined, { key: 'a', share: { count: 12, total: 7, worstProbability: 1, connections: new Set([1, 2, 3]) } })
  t.equal(combined.share.worst.peer.connection, 2, 'the highest of all combined shares')
  t.equal(combined.average, 7 / 12)
  t.equal(combined.current, (0.5 * 7) / 12)
  t.same(update('a', share(9, 1)), [], 'and it starts again')
  t.equal(update('a', share(1, 1)).length, 1)
  t.equal(update('b', share(30, 1)).length, 1, 'a large share is processed at once')
  t.equal(update(GATEWAY, share(1, 0.5))[0].average, 0.5, 'shares of the gateway are processed at once')
  t.equal(smoothing.movingAverage, 0.25)
})

t.test('the number of clients is capped; the least recently seen is evicted first', async t => {
  const smoothing = new Smoothing(BASELINES, { weight: 0.5, minimumClientPackets: 1, clientCap: 3 })
  const previous = (key: string) => {
    let result = NaN
    smoothing.update(new Map([[key, share(1, 1)]]), (_key, _share, figures) => {
      result = figures.previous
    })
    return result
  }
  t.same(['a', 'b', 'c', 'a', 'd'].map(previous), [0, 0, 0, 0.5, 0])
  t.equal(smoothing.forgotten, 1)
  t.equal(previous('a'), 0.75, 'not evicted')
  t.equal(previous('b'), 0, 'evicted, then added again')
  t.equal(smoothing.forgotten, 2)
})
