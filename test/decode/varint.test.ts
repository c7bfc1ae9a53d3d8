// Variable byte integers: bounds of each length, truncation, too many bytes.

import t from 'tap'
import { VARINT_INCOMPLETE, VARINT_MALFORMED, varintEnd, varintValue } from '../../src/decode/varint.js'

function read(bytes: number[], at = 0, to = bytes.length): number {
  const data = Uint8Array.from(bytes)
  const end = varintEnd(data, at, to)
  return end < 0 ? end : varintValue(data, at, end)
}

t.test('the bounds of each length [MQTT-1.5.5]', async t => {
  const bounds: [number, number[]][] = [
    [0, [0x00]],
    [127, [0x7f]],
    [128, [0x80, 0x01]],
    [16_383, [0xff, 0x7f]],
    [16_384, [0x80, 0x80, 0x01]],
    [2_097_151, [0xff, 0xff, 0x7f]],
    [2_097_152, [0x80, 0x80, 0x80, 0x01]],
    [268_435_455, [0xff, 0xff, 0xff, 0x7f]]
  ]
  for (const [value, bytes] of bounds) {
    t.equal(read(bytes), value)
    t.equal(read([0xff, ...bytes, 0xff], 1), value)
    t.equal(varintEnd(Uint8Array.from([0xff, ...bytes, 0xff]), 1), 1 + bytes.length)
    t.equal(read(bytes, 0, bytes.length - 1), VARINT_INCOMPLETE)
  }
})

t.test('more bytes than necessary are accepted', async t => {
  t.equal(read([0x85, 0x80, 0x00]), 5)
})

t.test('a fifth byte is malformed, whether or not it has arrived', async t => {
  t.equal(read([0x80, 0x80, 0x80]), VARINT_INCOMPLETE)
  t.equal(read([0x80, 0x80, 0x80, 0x80]), VARINT_MALFORMED)
  t.equal(read([0x80, 0x80, 0x80, 0x80, 0x01]), VARINT_MALFORMED)
})

t.test('no bytes', async t => {
  t.equal(read([]), VARINT_INCOMPLETE)
  t.equal(read([1], 1), VARINT_INCOMPLETE)
  t.equal(read([1], 5), VARINT_INCOMPLETE)
})
