// A broker within the process: the store, the core and the limits, without listeners or detection.

import { pino } from 'pino'
import type { Test } from 'tap'
import type { Settings } from '../../broker/config/schema.js'
import { readSettings } from '../../broker/config/settings.js'
import type { Broker } from '../../broker/core/broker.js'
import { LimitCounters } from '../../broker/limits/limit-counters.js'
import { openBroker as open, type OpenedBroker as Opened } from '../../broker/open-broker.js'

/** What a test may want to look into. */
export interface OpenedBroker {
  aedes: Broker
  tally: LimitCounters
  opened: Opened
}

/** Opens one with the default settings but for some limits; it is closed when the test ends. */
export async function openBroker(
  test: Test,
  limits: Partial<Settings['limits']> = {},
  isPersistent = false,
  folder = test.testdir({})
): Promise<OpenedBroker> {
  const log = pino({ level: 'silent' })
  const tally = new LimitCounters(log)
  const { settings } = readSettings({}, folder)
  const opened = await open(
    { ...settings, data: folder, persistence: isPersistent, limits: { ...settings.limits, ...limits } },
    log,
    tally
  )
  test.teardown(async () => {
    await opened.closeClients()
    await opened.close()
  })
  return { aedes: opened.broker, tally, opened }
}
