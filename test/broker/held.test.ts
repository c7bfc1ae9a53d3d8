// Held writes and acknowledgements: together, in order, and not before the store has the message.

import { Duplex } from 'node:stream'
import t from 'tap'
import type { Aedes, Client } from 'aedes'
import { HeldAcknowledgements, isAcknowledgement, readAcknowledgement } from '../../broker/held-acknowledgements.js'
import { heldFor, holdWrites } from '../../broker/held-writes.js'

const puback = (id: number, ...rest: number[]): Buffer => Buffer.from([0x40, 2 + rest.length, id >> 8, id & 0xff, ...rest])
const pubrec = (id: number, ...rest: number[]): Buffer => Buffer.from([0x50, 2 + rest.length, id >> 8, id & 0xff, ...rest])

function held (): { acks: HeldAcknowledgements, sent: string[] } {
  const sent: string[] = []
  return { acks: new HeldAcknowledgements(bytes => { sent.push(bytes.toString('hex')) }), sent }
}

t.test('an acknowledgement is read, however long', async t => {
  t.match(readAcknowledgement(puback(0x1234)), { kind: 'puback', id: 0x1234, isSuccess: true })
  t.match(readAcknowledgement(pubrec(7, 0x10, 0)), { kind: 'pubrec', id: 7, isSuccess: true })
  t.match(readAcknowledgement(puback(7, 0x87, 0)), { isSuccess: false })
  const long = Buffer.concat([Buffer.from([0x40, 0x80 | 72, 1, 0, 9, 0x87]), Buffer.alloc(197)])
  t.match(readAcknowledgement(long), { id: 9, isSuccess: false })
  t.same([0x30, 0x40, 0x50, 0x62, 0x70, 0x90].filter(isAcknowledgement), [0x40, 0x50])
})

t.test('a PUBACK waits for the store and for those before it', async t => {
  const { acks, sent } = held()
  for (const id of [1, 2, 3]) acks.take(readAcknowledgement(puback(id)))
  t.same(sent, [])
  acks.stored(2)
  acks.stored(9)
  t.same(sent, [])
  acks.stored(1)
  t.same(sent, ['40020001', '40020002'])
  acks.take(readAcknowledgement(puback(4, 0x87, 0)))
  t.equal(sent.length, 2, 'a refusal is in its place')
  acks.stored(3)
  t.same(sent.slice(2), ['40020003', '400400048700'])
})

t.test('PUBRECs leave in the order of their messages', async t => {
  const { acks, sent } = held()
  acks.await(1)
  acks.await(2)
  acks.take(readAcknowledgement(pubrec(2)))
  t.same(sent, [])
  acks.take(readAcknowledgement(pubrec(5)))
  t.same(sent, ['50020005'], 'one that is known already waits for nothing')
  acks.take(readAcknowledgement(pubrec(1)))
  t.same(sent.slice(1), ['50020001', '50020002'])
})

/** A client whose connection tells what it is given to write at a time. */
function client (): { connection: Duplex, client: Client, flushed: string[] } {
  const flushed: string[] = []
  const connection = new Duplex({
    read: () => {},
    writev: (chunks, done) => {
      flushed.push(Buffer.concat(chunks.map(({ chunk }) => chunk as Buffer)).toString('hex'))
      done()
    }
  })
  const client = { conn: connection } as unknown as Client
  const aedes = { handle: () => client } as unknown as Aedes
  holdWrites(aedes)
  aedes.handle(connection)
  return { connection, client, flushed }
}

/** Writes a packet as the library does: in chunks, corked, and uncorked in the next tick. */
function write (connection: Duplex, ...chunks: Buffer[]): void {
  connection.cork()
  process.nextTick(() => { connection.uncork() })
  for (const chunk of chunks) connection.write(chunk)
}

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

t.test('what is written within a turn leaves in one piece', async t => {
  const { connection, flushed } = client()
  write(connection, Buffer.from([0x30, 2]), Buffer.from([0, 0]))
  await Promise.resolve()
  write(connection, Buffer.from([0xd0, 0]))
  t.same(flushed, [])
  await turn()
  t.same(flushed, ['30020000d000'])
  write(connection, Buffer.from([0xd0, 0]))
  connection.end()
  await turn()
  t.same(flushed.slice(1), ['d000'], 'also where it ends')
})

t.test('an acknowledgement in chunks is held back, and what comes after it is not', async t => {
  const { connection, client: one, flushed } = client()
  write(connection, Buffer.from([0x40]), Buffer.from([2]), Buffer.from([0, 1]))
  write(connection, Buffer.from([0xd0, 0]))
  await turn()
  t.same(flushed, ['d000'])
  heldFor(one)?.stored(1)
  await turn()
  t.same(flushed, ['d000', '40020001'])
  write(connection, Buffer.from([0x40]), Buffer.from([2]), Buffer.from([0, 2]))
  await turn()
  connection.destroy()
  heldFor(one)?.stored(2)
  await turn()
  t.equal(flushed.length, 2, 'nothing for one that is gone')
  t.equal(heldFor(null), undefined)
})
