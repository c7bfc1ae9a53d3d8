// A broker with observer and gate, as the plug-in attaches them, but without a detection thread.

import type { Aedes, AedesOptions } from 'aedes'
import type { Test } from 'tap'
import type { BrokerEntry } from '../../src/observe/entries.js'
import { EntryWriter, readEntries } from '../../src/observe/entry-ring.js'
import { Observer } from '../../src/observe/observer.js'
import { allocateRing, RingReader, RingWriter } from '../../src/observe/ring.js'
import { BanList } from '../../src/respond/bans.js'
import { Gate } from '../../src/respond/gate.js'
import { closeBroker, type BrokerVersion } from '../support/brokers.js'
import { TestClock } from '../support/test-clock.js'

/** What a test gets hold of. */
export interface WatchedBroker {
  broker: Aedes
  observer: Observer
  gate: Gate
  bans: BanList
  clock: TestClock
  /** What was told since the last call. */
  told(): BrokerEntry[]
  /** Topics published by clients, wills included, with their payloads. */
  published: string[]
  /** The number of a client's connection. */
  idOf(clientId: string): number
}

/** Makes one; it is closed with the test. */
export async function watchedBroker(
  t: Test,
  version: BrokerVersion,
  options: AedesOptions = {}
): Promise<WatchedBroker> {
  const broker = await version.create(options)
  const clock = new TestClock()
  const memory = allocateRing(1 << 18)
  const reader = new RingReader(memory)
  const observer = new Observer(
    new EntryWriter(new RingWriter(memory, () => {})),
    { topicCapBytes: 256, payloadCapBytes: 1_024 },
    clock
  )
  const bans = new BanList(clock)
  const gate = new Gate(broker, observer, bans)
  const published: string[] = []
  broker.on('publish', ({ topic, payload }, client) => {
    if (client !== null) published.push(`${topic} ${payload.toString()}`)
  })
  t.teardown(async () => {
    // Aedes waits half a minute for those who never said CONNECT.
    for (const { stream } of observer.live()) stream.destroy()
    await closeBroker(broker)
  })
  return {
    broker,
    observer,
    gate,
    bans,
    clock,
    published,
    told: () => {
      const entries: BrokerEntry[] = []
      readEntries(reader, entry => {
        entries.push(entry)
      })
      return entries
    },
    idOf: clientId => {
      for (const connection of observer.live()) if (connection.clientId === clientId) return connection.id
      throw new Error(`${clientId} is not connected`)
    }
  }
}

/** Addresses of a connection from `address`. */
export function from(address: string, port = 50_000) {
  return { remoteAddress: address, remotePort: port, localAddress: '192.0.2.100', localPort: 1883 }
}
