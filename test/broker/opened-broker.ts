// A broker in the test process: store, core and limits, without listeners or detection.

import { pino } from 'pino'
import type { Test } from 'tap'
import type { Settings } from '../../broker/config/schema.js'
import { readSettings } from '../../broker/config/settings.js'
import type { Broker } from '../../broker/core/broker.js'
import { LimitCounters } from '../../broker/limits/limit-counters.js'
import { openBroker as open, type OpenedBroker as Opened } from '../../broker/open-broker.js'

/** The broker and its parts. */
export interface OpenedBroker {
  aedes: Broker
  limitCounters: LimitCounters
  opened: Opened
}

/** Opens a broker with default settings except for `limits`. It is closed when the test ends. */
export async function openBroker(
  test: Test,
  limits: Partial<Settings['limits']> = {},
  isPersistent = false,
  folder = test.testdir({})
): Promise<OpenedBroker> {
  const log = pino({ level: 'silent' })
  const limitCounters = new LimitCounters(log)
  const { settings } = readSettings({}, folder)
  const opened = await open(
    { ...settings, data: folder, persistence: isPersistent, limits: { ...settings.limits, ...limits } },
    log,
    limitCounters
  )
  test.teardown(async () => {
    await opened.closeClients()
    await opened.close()
  })
  return { aedes: opened.broker, limitCounters, opened }
}
