// Addresses of connections on every transport, normalised.

import type { IncomingMessage } from 'node:http'
import t from 'tap'
import { addressesOf, normaliseAddress } from '../../src/observe/address.js'
import { PairEnd } from '../support/duplex-pair.js'

const SOCKET = {
  remoteAddress: '::ffff:192.0.2.7',
  remotePort: 50_000,
  localAddress: '::FFFF:192.0.2.1',
  localPort: 1883
}
const ENDS = { client: { address: '192.0.2.7', port: 50_000 }, broker: { address: '192.0.2.1', port: 1883 } }

t.test('normalises an IPv4-mapped IPv6 address to IPv4', async t => {
  t.equal(normaliseAddress('::ffff:127.0.0.1'), '127.0.0.1')
  for (const address of ['127.0.0.1', '::1', '2001:db8::ffff:1', '::ffff:1:2', '::ffff:1.2.3', ''])
    t.equal(normaliseAddress(address), address)
})

t.test('reads the addresses of every transport', async t => {
  t.same(addressesOf(PairEnd.pair(SOCKET).broker), { transport: 'tcp', ...ENDS })
  t.same(addressesOf(Object.assign(PairEnd.pair(SOCKET).broker, { encrypted: true })), { transport: 'tls', ...ENDS })
  const unknown = { address: '', port: 0 }
  t.same(addressesOf(PairEnd.pair().broker), { transport: 'stream', client: unknown, broker: unknown })
  // The stream of a WebSocket has no addresses: they are those of the upgrade request's socket.
  const request = { socket: SOCKET } as unknown as IncomingMessage
  t.same(addressesOf(PairEnd.pair().broker, request), { transport: 'websocket', ...ENDS })
})
