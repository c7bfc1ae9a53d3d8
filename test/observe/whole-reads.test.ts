// Reading all buffered bytes at once, on every version of Node.

import { once } from 'node:events'
import { Duplex } from 'node:stream'
import t from 'tap'
import { readWhole } from '../../src/observe/whole-reads.js'

/** A connection whose peer is the test. */
class Wire extends Duplex {
  override _read(): void {}
}

function whole(): Wire {
  const wire = new Wire()
  readWhole(wire)
  return wire
}

function push(wire: Wire, ...chunks: string[]): void {
  for (const chunk of chunks) wire.push(Buffer.from(chunk))
}

t.test('one read returns all chunks', async t => {
  const wire = whole()
  push(wire, 'a', 'bc', 'def')
  await once(wire, 'readable')
  t.equal(String(wire.read()), 'abcdef')
  t.equal(wire.read(), null)
})

t.test('a reader that reads once per event receives everything', async t => {
  const wire = whole()
  const received: string[] = []
  wire.on('readable', () => {
    const chunk = wire.read(null as unknown as number) as Buffer | null
    if (chunk !== null) received.push(String(chunk))
  })
  push(wire, 'a', 'b')
  await once(wire, 'readable')
  t.same(received, ['ab'])
  push(wire, 'c', 'd')
  await once(wire, 'readable')
  t.same(received, ['ab', 'cd'])
})

t.test('reads of a given size, strings and data events are unchanged', async t => {
  const sized = whole()
  push(sized, 'abc', 'def')
  await once(sized, 'readable')
  t.equal(String(sized.read(4)), 'abcd')

  const flowing = whole()
  const received: string[] = []
  flowing.on('data', (chunk: Buffer) => received.push(String(chunk)))
  push(flowing, 'a', 'b')
  flowing.push(null)
  await once(flowing, 'end')
  t.same(received, ['a', 'b'])

  const text = whole()
  text.setEncoding('utf8')
  push(text, 'a')
  await once(text, 'readable')
  t.equal(text.read(), 'a')
})

t.test('a stream that always has more bytes is not read without end', async t => {
  const endless = new Duplex({
    read() {
      this.push(Buffer.from('x'))
    }
  })
  readWhole(endless)
  await once(endless, 'readable')
  const buffered = endless.readableLength
  const read = String(endless.read())
  t.ok(read.length <= buffered + 1, `${read.length} of ${buffered} bytes`)
  endless.destroy()
})
