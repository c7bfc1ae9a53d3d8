// A broker with the whole plug-in attached, no tap and no port: clients are ends of streams within the process.

import type { Aedes, AedesOptions } from 'aedes'
import type { Test } from 'tap'
import { artemis, type Artemis, type ArtemisOptions } from '../../src/index.js'
import { publish } from '../decode/craft-mqtt.js'
import { closeBroker, type BrokerVersion } from '../support/brokers.js'
import type { RawClient } from '../support/raw-client.js'
import { waitUntil } from '../support/wait-until.js'
import type { Status } from '../support/watched-broker.js'

/** A broker with the plug-in. */
export interface SelfWatching {
  broker: Aedes
  ids: Artemis
  /** Log lines so far: level and message. */
  lines: string[]
  status(): Status
  until(what: string, satisfies: (status: Status) => boolean): Promise<void>
  /** Publishes sensor messages until the detection is guarding. */
  learn(clients: readonly RawClient[]): Promise<void>
}

/** Creates one. The test's teardown closes it. */
export async function selfWatching(
  t: Test,
  version: BrokerVersion,
  options: ArtemisOptions = {},
  brokerOptions: AedesOptions = {}
): Promise<SelfWatching> {
  const broker = await version.create(brokerOptions)
  const lines: string[] = []
  const log =
    (level: string) =>
    (_details: object, message: string): void => {
      lines.push(`${level} ${message}`)
    }
  const ids = artemis(broker, {
    tap: { target: 'none' },
    // Context columns take minutes to settle. Columns of single packets need no time.
    detector: { kind: 'iforest', features: 'table1-no-identity' },
    learn: { seconds: 0, minimumRecords: 600 },
    alert: { batchRecords: 20 },
    logger: { info: log('info'), warn: log('warn'), error: log('error') },
    ...options
  })
  t.teardown(async () => {
    await ids.close()
    await closeBroker(broker)
  })
  const status = (): Status => ids.status() as Status
  return {
    broker,
    ids,
    lines,
    status,
    until: async (what, satisfies) => {
      await waitUntil(what, () => satisfies(status())).catch((error: unknown) => {
        throw new Error(`${String(error)}: ${JSON.stringify(status())}`)
      })
    },
    async learn(clients) {
      for (let i = 0; status().state !== 'guarding' && i < 20_000; i++) {
        const client = clients[i % clients.length]
        client.send(reading(i))
        if (i % clients.length === 0) await client.settled()
      }
    }
  }
}

/** Returns a typical message of a sensor. */
export function reading(i: number): Buffer {
  return publish(`sensors/${i % 7}/state`, `{"temperature":${20 + (i % 50) / 10},"humidity":${40 + (i % 23)}}`, {
    qos: i % 3 === 0 ? 1 : 0
  })
}

/** Returns a message that no sensor sends. */
export function garbage(i: number): Buffer {
  return publish(`x/${'y'.repeat(100 + (i % 80))}`, Buffer.alloc(900 + (i % 100), 0x80 + (i % 97)))
}
