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

/** A broker with observer and gate. */
export interface WatchedBroker {
  broker: Aedes
  observer: Observer
  /** The ring that the observer writes to. */
  entries: EntryWriter
  gate: Gate
  bans: BanList
  clock: TestClock
  /** Returns the entries since the last call. */
  takeEntries(): BrokerEntry[]
  /** Topics published by clients, wills included, with their payloads. */
  published: string[]
  /** Returns the number of a client's connection. */
  idOf(clientId: string): number
}

/** Creates one. The test's teardown closes it. */
export async function watchedBroker(
  t: Test,
  version: BrokerVersion,
  options: AedesOptions = {}
): Promise<WatchedBroker> {
  const broker = await version.create(options)
  const clock = new TestClock()
  const memory = allocateRing(1 << 18)
  const reader = new RingReader(memory)
  const entries = new EntryWriter(new RingWriter(memory, () => {}))
  const observer = new Observer(entries, { topicCapBytes: 256, payloadCapBytes: 1_024 }, clock)
  const bans = new BanList(clock)
  const gate = new Gate(broker, observer, bans)
  const published: string[] = []
  broker.on('publish', ({ topic, payload }, client) => {
    if (client !== null) published.push(`${topic} ${payload.toString()}`)
  })
  t.teardown(async () => {
    // Aedes waits half a minute for clients that have not sent CONNECT.
    for (const { stream } of observer.live()) stream.destroy()
    await closeBroker(broker)
  })
  return {
    broker,
    observer,
    entries,
    gate,
    bans,
    clock,
    published,
    takeEntries: () => {
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
