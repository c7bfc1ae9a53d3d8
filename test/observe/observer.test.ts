// Entries of a connection from its acceptance to its close, and none after it.

import { once } from 'node:events'
import { Duplex } from 'node:stream'
import t from 'tap'
import { EntryWriter, readEntries } from '../../src/observe/entry-ring.js'
import { Observer } from '../../src/observe/observer.js'
import { allocateRing, RingReader, RingWriter } from '../../src/observe/ring.js'
import { connect, PINGREQ } from '../decode/craft-mqtt.js'
import { TestClock } from '../support/test-clock.js'

class Bare extends Duplex {
  override _read(): void {}
}

t.test('ignores bytes after the close, which a WebSocket may deliver', async t => {
  const memory = allocateRing(4_096)
  const observer = new Observer(
    new EntryWriter(new RingWriter(memory, () => {})),
    { topicCapBytes: 16, payloadCapBytes: 16 },
    new TestClock()
  )
  const stream = new Bare()
  observer.accept(stream)
  stream.push(connect())
  stream.destroy()
  await once(stream, 'close')
  stream.push(PINGREQ)
  stream.push(PINGREQ.subarray(0, 1))
  const told: string[] = []
  readEntries(new RingReader(memory), ({ kind }) => {
    told.push(kind)
  })
  t.same(told, ['open', 'packet', 'close'])
})
