// Writer thread of ring-threads.test.ts: writes a given number of packets without waiting.

import { parentPort, workerData } from 'node:worker_threads'
import { EntryWriter } from '../../src/observe/entry-ring.js'
import { RingWriter, type RingMemory } from '../../src/observe/ring.js'

const { memory, count } = workerData as { memory: RingMemory; count: number }
const entries = new EntryWriter(
  new RingWriter(memory, () => {
    parentPort?.postMessage('wake')
  })
)
const payload = new Uint8Array(200)

for (let i = 0; i < count; i++) {
  const length = i % 200
  payload.fill(i & 0xff, 0, length)
  entries.packet(
    i,
    i % 2 === 0 ? 'in' : 'out',
    i,
    {
      header: 0x30,
      remainingLength: length,
      size: length + 2,
      end: i * 7,
      topicLength: null,
      topic: null,
      payload: payload.subarray(0, length),
      payloadLength: length,
      facts: 0,
      clientHash: 0,
      willHash: 0
    },
    i,
    true
  )
}
parentPort?.postMessage('done')
