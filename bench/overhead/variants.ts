// The measured brokers.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { startAedes } from '../brokers/aedes.js'
import { startArtemis, startCore } from '../brokers/artemis.js'
import type { ChildBroker } from '../brokers/child.js'
import { startMosquitto } from '../brokers/mosquitto.js'
import { withOverrides, type SettingsTree } from '../brokers/settings.js'

/** Options to start a broker. */
export interface StartOptions {
  /** Empty folder for its data. */
  folder: string
  inflightMessages: number
  /** Values of `--setting`. */
  overrides: readonly string[]
}

/** A measured broker. */
export interface Variant {
  title: string
  /** Whether the aims apply to it. */
  hasAim?: boolean
  start(options: StartOptions): Promise<ChildBroker>
  /** Resolves when the broker, after the warm-up, is in the state to measure. */
  settle?(options: StartOptions): Promise<void>
}

/** Limits high enough not to throttle the load; every limit is still counted. */
const NO_LIMITS = {
  messagesPerSecond: 10_000_000,
  bytesPerSecond: '1024MiB',
  queuedMessages: 10_000_000,
  queuedBytes: '1024MiB'
}
const LEARN_LIMIT_MS = 120_000

/** Brokers by name for `--variants`. The others are compared with the first. */
export const VARIANTS: Readonly<Record<string, Variant>> = {
  aedes: { title: 'bare Aedes', start: async () => await startAedes(null) },
  'aedes-level': { title: 'bare Aedes on LevelDB', start: async ({ folder }) => await startAedes(folder) },
  core: {
    title: 'Artemis, detection off',
    hasAim: true,
    start: async ({ folder, inflightMessages, overrides }) =>
      await startCore(folder, withOverrides({ limits: { ...NO_LIMITS, inflightMessages } }, overrides))
  },
  // Learning: collects training records and scores nothing.
  artemis: {
    title: 'Artemis, learning',
    start: async options => await program(options, { learn: { duration: '30d' } })
  },
  // Compared with the variant above, shows the cost of a --setting.
  plain: {
    title: 'Artemis without --setting',
    start: async options => await program({ ...options, overrides: [] }, { learn: { duration: '30d' } })
  },
  guarding: {
    title: 'Artemis, guarding',
    start: async options => await program(options, { learn: { duration: '0s' } }),
    settle: waitUntilTrained
  },
  mosquitto: {
    title: 'mosquitto',
    start: async ({ folder, inflightMessages }) => await startMosquitto(folder, inflightMessages)
  }
}

async function program(
  { folder, inflightMessages, overrides }: StartOptions,
  settings: SettingsTree
): Promise<ChildBroker> {
  return await startArtemis(
    folder,
    withOverrides({ ...settings, limits: { ...NO_LIMITS, inflightMessages } }, overrides)
  )
}

async function waitUntilTrained({ folder }: StartOptions): Promise<void> {
  const model = join(folder, 'data', 'model.json')
  const deadline = performance.now() + LEARN_LIMIT_MS
  while (!existsSync(model)) {
    if (performance.now() > deadline) throw new Error('no model after the warm-up')
    await pause(100)
  }
}
