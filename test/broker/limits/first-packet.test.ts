// The end of the first packet, however the bytes come.

import t from 'tap'
import { FirstPacket } from '../../../broker/limits/first-packet.js'
import { packet } from '../../decode/craft-mqtt.js'

const AFTERWARDS = Buffer.from([0xc0, 0])

t.test('its end is found wherever a chunk ends', t => {
  for (const length of [0, 1, 127, 128, 300, 16_384, 2_097_152]) {
    const first = packet(0x10, Buffer.alloc(length))
    const bytes = Buffer.concat([first, AFTERWARDS])
    for (const cut of [1, 2, 3, 4, 5, 6, first.length - 1, first.length].filter(cut => cut > 0 && cut <= first.length)) {
      const watched = new FirstPacket()
      t.equal(watched.take(bytes.subarray(0, cut)), cut, `${length} bytes, cut at ${cut}`)
      t.equal(watched.isWhole, cut === first.length)
      t.equal(watched.take(bytes.subarray(cut)), first.length - cut)
      t.ok(watched.isWhole)
    }
  }
  t.end()
})

t.test('of a length that is none everything is the parser\'s', t => {
  const watched = new FirstPacket()
  t.equal(watched.take(Buffer.from([0x10, 0xff, 0xff, 0xff, 0xff, 1, 2])), 7)
  t.notOk(watched.isWhole)
  t.end()
})
