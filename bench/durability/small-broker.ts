// A broker of store and Aedes alone, in a process of its own; tells its port, and its processor time when asked.

import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { harden } from '../../broker/hardening.js'
import { holdWrites } from '../../broker/held-writes.js'
import { OrderedAedes } from '../../broker/ordered-aedes.js'
import { Pacing } from '../../broker/pacing.js'
import { openStore } from '../../broker/persistence.js'

const [folder, writes] = process.argv.slice(2)
const store = await openStore(join(folder, 'small'))
const pacing = new Pacing()
const aedes = new OrderedAedes({ id: store.brokerId, persistence: store.persistence, concurrency: 0 }, pacing)
harden(aedes, {
  unreadBytes: Infinity,
  onUnread: () => {},
  wasDropped: () => false,
  inflightMessages: Infinity,
  hold: () => () => {},
  discard: () => {},
  isCrowded: () => false,
  pacing
})
if (writes === 'held') holdWrites(aedes)
await aedes.listen()
const server = createServer({ noDelay: true }, socket => { aedes.handle(socket) })
server.listen(0, '127.0.0.1', () => {
  process.send?.({ port: (server.address() as AddressInfo).port })
})
process.on('message', () => { process.send?.(process.cpuUsage()) })
process.on('disconnect', () => { process.exit() })
