// WebSocket framing: finds every frame in chunks of any size, and rejects unsupported frames.

import t from 'tap'
import { Random } from '../../models/random.js'
import { WebSocketWalker } from '../../src/decode/websocket.js'

function frame(first: number, length: number, masked: boolean): Buffer {
  const mask = masked ? 0x80 : 0
  const head = length < 126 ? Buffer.from([first, mask | length]) : length < 65_536 ? Buffer.alloc(4) : Buffer.alloc(10)
  if (length >= 126) {
    head[0] = first
    head[1] = mask | (length < 65_536 ? 126 : 127)
    head.writeUIntBE(length, length < 65_536 ? 2 : 4, length < 65_536 ? 2 : 6)
  }
  return Buffer.concat([head, Buffer.alloc(masked ? 4 : 0, 0x5a), Buffer.alloc(length, 0xff)])
}

const FRAMES = [
  frame(0x82, 5, true),
  frame(0x82, 0, true),
  frame(0x89, 3, false),
  frame(0x02, 125, true),
  frame(0x00, 126, false),
  frame(0x8a, 0, true),
  frame(0x80, 300, true),
  frame(0x82, 65_535, false),
  frame(0x82, 65_536, true),
  frame(0x88, 2, true)
]
const DATA = [5, 0, 0, 125, 126, 0, 300, 65_535, 65_536, 0]

t.test('finds the frame ends in chunks of any size', async t => {
  const bytes = Buffer.concat(FRAMES)
  const expected = FRAMES.map(({ length }, i) => [length, DATA[i]])
  const random = new Random(1)
  for (const most of [1, 3, 1_000, 200_000]) {
    const walker = new WebSocketWalker()
    const found: number[][] = []
    for (let at = 0; at < bytes.length;) {
      const end = at + 1 + random.integer(most)
      walker.push(bytes.subarray(at, end), (frameLength, dataLength) => {
        found.push([frameLength, dataLength])
      })
      at = end
    }
    t.strictSame(found, expected, `chunks of up to ${most} bytes`)
    t.notOk(walker.malformed)
  }
})

t.test('stops at a compressed frame and at an unsafe length', async t => {
  for (const bytes of [frame(0xc2, 5, true), Buffer.from([0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255])]) {
    const walker = new WebSocketWalker()
    const found: number[] = []
    const push = (bytes: Buffer): void => {
      walker.push(bytes, length => {
        found.push(length)
      })
    }
    push(Buffer.concat([FRAMES[0], bytes, FRAMES[0]]))
    push(FRAMES[0])
    t.ok(walker.malformed)
    t.same(found, [FRAMES[0].length])
  }
})
