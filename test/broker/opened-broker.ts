// A broker within the process: the store, Aedes and the limits, without listeners or detection.

import { pino } from 'pino'
import type { Test } from 'tap'
import { closeAedes, openAedes } from '../../broker/aedes.js'
import type { Settings } from '../../broker/config/schema.js'
import { readSettings } from '../../broker/config/settings.js'
import { Queues } from '../../broker/limits/queues.js'
import { Tally } from '../../broker/limits/tally.js'
import type { OrderedAedes } from '../../broker/ordered-aedes.js'
import { openStore } from '../../broker/persistence.js'

/** What a test may want to look into. */
export interface OpenedBroker {
  aedes: OrderedAedes
  queues: Queues
  tally: Tally
}

/** Opens one with the default settings but for some limits; it is closed when the test ends. */
export async function openBroker (test: Test, limits: Partial<Settings['limits']> = {}, isPersistent = false): Promise<OpenedBroker> {
  const folder = test.testdir({})
  const log = pino({ level: 'silent' })
  const store = await openStore(folder, isPersistent)
  const tally = new Tally(log)
  const { settings } = readSettings({}, folder)
  const own = { ...settings, limits: { ...settings.limits, ...limits } }
  const queues = await Queues.open(store, own.limits, tally)
  const aedes = await openAedes(store, own, log, tally, queues)
  test.teardown(async () => {
    await closeAedes(aedes)
    await store.settle()
    await store.close()
  })
  return { aedes, queues, tally }
}
