// What carries a connection: where it is not understood, that is said at once, and its packets are told all the same.

import type { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import t from 'tap'
import { watchCarried } from '../../src/observe/carrier.js'
import type { Transport } from '../../src/observe/entries.js'
import { recordOverhead } from '../../src/observe/tls-records.js'
import { PINGREQ } from '../decode/craft-mqtt.js'

class Bare extends Duplex {
  override _read(): void {}
  override _write(_chunk: unknown, _encoding: unknown, callback: () => void): void {
    callback()
  }
}

function told(transport: Transport, request?: IncomingMessage): string[] {
  const told: string[] = []
  const stream = new Bare()
  watchCarried(
    stream,
    request,
    transport,
    { topicCapBytes: 9, payloadCapBytes: 9 },
    {
      onPacket: (direction, { end }, ordinal, last) => {
        told.push(`${direction} ${ordinal} ends at ${end}${last ? '' : ', more'}`)
      },
      onMark: () => {
        told.push('mark')
      },
      onUnplaced: reason => {
        told.push(`unplaced: ${reason}`)
      }
    }
  )
  stream.push(PINGREQ)
  stream.write(PINGREQ)
  return told
}

t.test('what is no TLS socket, no socket at all, or TLS below WebSocket', async t => {
  const over = (socket: object): IncomingMessage => ({ socket }) as IncomingMessage
  const packets = ['in 0 ends at 2', 'out 0 ends at 2']
  t.same(told('tcp'), packets)
  t.same(told('tls'), ['unplaced: carrier', ...packets])
  t.same(told('websocket', over({})), ['unplaced: carrier', ...packets])
  t.same(told('websocket', over(Object.assign(new Socket(), { encrypted: true }))), [
    'unplaced: tls-websocket',
    ...packets
  ])
})

t.test('by how much a record is longer than what it carries', async t => {
  t.equal(recordOverhead('TLSv1.3', 'TLS_AES_128_GCM_SHA256'), 22)
  t.equal(recordOverhead('TLSv1.3', 'TLS_AES_128_CCM_8_SHA256'), undefined)
  t.equal(recordOverhead('TLSv1.2', 'ECDHE-ECDSA-AES256-GCM-SHA384'), 29)
  t.equal(recordOverhead('TLSv1.2', 'ECDHE-RSA-CHACHA20-POLY1305'), 21)
  for (const suite of ['ECDHE-RSA-AES128-SHA256', 'AES256-CCM8', 'NULL-SHA256'])
    t.equal(recordOverhead('TLSv1.2', suite), undefined, suite)
  t.equal(recordOverhead('TLSv1.1', 'ECDHE-RSA-AES128-SHA'), undefined)
  t.equal(recordOverhead(null, ''), undefined)
})
