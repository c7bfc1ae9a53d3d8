// Two threads on one ring: each entry arrives complete and in order, or is counted as dropped; no wake-up is lost.

import { Worker } from 'node:worker_threads'
import t from 'tap'
import { readEntries } from '../../src/observe/entry-ring.js'
import { allocateRing, RingReader } from '../../src/observe/ring.js'

const COUNT = 200_000

t.test('reads 200,000 packets from another thread', async t => {
  const memory = allocateRing(1 << 16)
  const reader = new RingReader(memory)
  const worker = new Worker(new URL('./flood-writer.js', import.meta.url), { workerData: { memory, count: COUNT } })
  let last = -1
  let seen = 0
  let damaged = 0

  function drain(): void {
    do {
      readEntries(reader, entry => {
        seen++
        if (entry.kind !== 'packet') {
          damaged++
          return
        }
        const { connection: i, direction, time, packet } = entry
        const sound =
          i > last &&
          time === i &&
          packet.end === i * 7 &&
          direction === (i % 2 === 0 ? 'in' : 'out') &&
          packet.payloadLength === i % 200 &&
          packet.payload?.length === i % 200 &&
          packet.payload.every(byte => byte === (i & 0xff))
        if (!sound) damaged++
        last = i
      })
    } while (!reader.sleep())
  }

  // Only wake-ups cause reads, so a lost wake-up would show as missing packets.
  await new Promise<void>((resolve, reject) => {
    let done = false
    worker.on('message', message => {
      drain()
      done ||= message === 'done'
      if (done) resolve()
    })
    worker.on('error', reject)
    drain()
  })
  drain()
  await worker.terminate()
  t.equal(damaged, 0)
  t.equal(seen + reader.dropped, COUNT, `${seen} read, ${reader.dropped} dropped`)
  t.ok(seen > 100)
})
