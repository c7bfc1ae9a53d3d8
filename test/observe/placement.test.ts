// Placing packets inside TLS records and WebSocket frames: a packet ends with the unit that has its last byte.

import t from 'tap'
import { Placement } from '../../src/observe/placement.js'
import type { MqttPacket } from '../../src/types.js'

function packet(end: number): MqttPacket {
  return {
    header: 0x30,
    remainingLength: 8,
    size: 10,
    end,
    topicLength: null,
    topic: Buffer.from('t'),
    payload: null,
    payloadLength: 0,
    facts: 0,
    clientHash: 0,
    willHash: 0
  }
}

function placing(): { placement: Placement; take: () => string[] } {
  const events: string[] = []
  const placement = new Placement(
    'in',
    {
      onPacket: (_direction, { end }, ordinal, last) => {
        events.push(`${ordinal} at ${end}${last ? '' : ', more'}`)
      },
      onMark: (_direction, _begin, offset, ordinal) => {
        events.push(`${ordinal} up to ${offset}`)
      },
      onUnplaced: () => {
        events.push('unplaced')
      }
    },
    () => {
      events.push('failure')
    }
  )
  return { placement, take: () => events.splice(0) }
}

t.test('places one packet per unit, several in one unit, and one across several', async t => {
  const { placement, take } = placing()
  placement.start(1_000)
  placement.unit(10, 30)
  placement.packet(packet(10), 0)
  t.same(take(), ['0 at 1030'])
  placement.unit(25, 45)
  placement.packet(packet(20), 1)
  placement.packet(packet(30), 2)
  t.same(take(), ['1 at 1075, more', '2 at 1075, more'], 'other packets may end there too')
  placement.mark(35)
  t.same(take(), ['3 up to 1075'], 'all packets up to there are reported')
  placement.unit(100, 120)
  placement.mark(135)
  placement.unit(5, 25)
  placement.packet(packet(140), 3)
  t.same(take(), ['3 up to 1195', '3 at 1220'])
  placement.unit(0, 6)
  t.same(take(), ['4 up to 1226'], 'a unit without data also moves the mark')
})

t.test('holds packets until the length of the handshake is known', async t => {
  const { placement, take } = placing()
  placement.unit(20, 42)
  placement.packet(packet(10), 0)
  placement.packet(packet(20), 1)
  placement.reach(500)
  t.same(take(), [], 'no mark while packets wait')
  placement.start(400)
  t.same(take(), ['0 at 442, more', '1 at 442'])
})

t.test('holds packets and copies their bytes until their frame is written', async t => {
  const { placement, take } = placing()
  placement.start(0)
  const first = packet(10)
  placement.packet(first, 0)
  first.topic?.fill(0)
  t.same(take(), [])
  placement.unit(10, 12)
  t.same(take(), ['0 at 12'])
  placement.packet(packet(20), 1)
  placement.packet(packet(30), 2)
  placement.unit(10, 12)
  t.same(take(), ['1 at 24'])
  placement.unit(10, 12)
  placement.unit(0, 2)
  t.same(take(), ['2 at 36', '3 up to 38'])
})

t.test('reports unplaced packets after a stop, and fails if too many wait', async t => {
  const { placement, take } = placing()
  placement.packet(packet(10), 0)
  placement.stop()
  placement.packet(packet(20), 1)
  t.same(take(), ['0 at 10', '1 at 20'])
  const other = placing()
  for (let i = 0; i < 1_001; i++) other.placement.packet(packet(i * 10), i)
  t.same(other.take(), ['failure'])
})
