// The brokers that are measured: one line each.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { startAedes } from '../brokers/aedes.js'
import { startArtemis, startCore } from '../brokers/artemis.js'
import type { ChildBroker } from '../brokers/child.js'
import { startMosquitto } from '../brokers/mosquitto.js'
import { withOverrides, type SettingsTree } from '../brokers/settings.js'

/** What a broker is started with. */
export interface Wanted {
  /** Empty, for its data. */
  folder: string
  inflightMessages: number
  /** `--setting`, for the program. */
  overrides: readonly string[]
}

/** A broker under measurement. */
export interface Variant {
  title: string
  /** Whether the aims hold for it. */
  isAimed?: boolean
  start(wanted: Wanted): Promise<ChildBroker>
  /** Resolves when it is, after the warm-up, in the state that is to be measured. */
  settle?(wanted: Wanted): Promise<void>
}

/** Settings under which the load is not slowed down on purpose; every limit is still counted. */
const NO_BRAKES = {
  messagesPerSecond: 10_000_000,
  bytesPerSecond: '1024MiB',
  queuedMessages: 10_000_000,
  queuedBytes: '1024MiB'
}
const LEARN_LIMIT_MS = 120_000

/** By the name that `--variants` takes; the first is what the others are compared with. */
export const VARIANTS: Readonly<Record<string, Variant>> = {
  aedes: { title: 'bare Aedes', start: async () => await startAedes(null) },
  'aedes-level': { title: 'bare Aedes on LevelDB', start: async ({ folder }) => await startAedes(folder) },
  core: {
    title: 'Artemis without detection',
    isAimed: true,
    start: async ({ folder, inflightMessages, overrides }) =>
      await startCore(folder, withOverrides({ limits: { ...NO_BRAKES, inflightMessages } }, overrides))
  },
  // It collects what it would learn from, and judges nothing.
  artemis: {
    title: 'Artemis, judging nothing',
    start: async wanted => await program(wanted, { learn: { duration: '30d' } })
  },
  // Beside the one before, what a --setting costs.
  plain: {
    title: 'Artemis without --setting',
    start: async wanted => await program({ ...wanted, overrides: [] }, { learn: { duration: '30d' } })
  },
  guarding: {
    title: 'Artemis, guarding',
    start: async wanted => await program(wanted, { learn: { duration: '0s' } }),
    settle: untilLearnt
  },
  mosquitto: {
    title: 'mosquitto',
    start: async ({ folder, inflightMessages }) => await startMosquitto(folder, inflightMessages)
  }
}

async function program({ folder, inflightMessages, overrides }: Wanted, settings: SettingsTree): Promise<ChildBroker> {
  return await startArtemis(
    folder,
    withOverrides({ ...settings, limits: { ...NO_BRAKES, inflightMessages } }, overrides)
  )
}

async function untilLearnt({ folder }: Wanted): Promise<void> {
  const model = join(folder, 'data', 'model.json')
  const deadline = performance.now() + LEARN_LIMIT_MS
  while (!existsSync(model)) {
    if (performance.now() > deadline) throw new Error('it has not learnt from the warm-up')
    await pause(100)
  }
}
