// Transports: an unsupported one is reported immediately, and its packets are still reported.

import type { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import t from 'tap'
import { watchTransport } from '../../src/observe/carrier.js'
import type { Transport } from '../../src/observe/entries.js'
import { recordOverhead } from '../../src/observe/tls-records.js'
import { PINGREQ } from '../decode/craft-mqtt.js'

class NullStream extends Duplex {
  override _read(): void {}
  override _write(_chunk: unknown, _encoding: unknown, callback: () => void): void {
    callback()
  }
}

function eventsOf(transport: Transport, request?: IncomingMessage): string[] {
  const events: string[] = []
  const stream = new NullStream()
  watchTransport(
    stream,
    request,
    transport,
    { topicCapBytes: 9, payloadCapBytes: 9 },
    {
      onPacket: (direction, { end }, ordinal, last) => {
        events.push(`${direction} ${ordinal} ends at ${end}${last ? '' : ', more'}`)
      },
      onMark: () => {
        events.push('mark')
      },
      onUnplaced: reason => {
        events.push(`unplaced: ${reason}`)
      }
    }
  )
  stream.push(PINGREQ)
  stream.write(PINGREQ)
  return events
}

t.test('reports packets unplaced without a TLS socket, without a socket, and for WebSocket over TLS', async t => {
  const over = (socket: object): IncomingMessage => ({ socket }) as IncomingMessage
  const packets = ['in 0 ends at 2', 'out 0 ends at 2']
  t.same(eventsOf('tcp'), packets)
  t.same(eventsOf('tls'), ['unplaced: carrier', ...packets])
  t.same(eventsOf('websocket', over({})), ['unplaced: carrier', ...packets])
  t.same(eventsOf('websocket', over(Object.assign(new Socket(), { encrypted: true }))), [
    'unplaced: tls-websocket',
    ...packets
  ])
})

t.test('returns the record overhead of each cipher suite', async t => {
  t.equal(recordOverhead('TLSv1.3', 'TLS_AES_128_GCM_SHA256'), 22)
  t.equal(recordOverhead('TLSv1.3', 'TLS_AES_128_CCM_8_SHA256'), undefined)
  t.equal(recordOverhead('TLSv1.2', 'ECDHE-ECDSA-AES256-GCM-SHA384'), 29)
  t.equal(recordOverhead('TLSv1.2', 'ECDHE-RSA-CHACHA20-POLY1305'), 21)
  for (const suite of ['ECDHE-RSA-AES128-SHA256', 'AES256-CCM8', 'NULL-SHA256'])
    t.equal(recordOverhead('TLSv1.2', suite), undefined, suite)
  t.equal(recordOverhead('TLSv1.1', 'ECDHE-RSA-AES128-SHA'), undefined)
  t.equal(recordOverhead(null, ''), undefined)
})
