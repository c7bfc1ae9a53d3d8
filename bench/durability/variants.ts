// The brokers to kill: the program as users run it, and bare Aedes on LevelDB, which acknowledges before it stores.

import { startAedes } from '../brokers/aedes.js'
import { startArtemis } from '../brokers/artemis.js'
import type { ChildBroker } from '../brokers/child.js'
import { withOverrides } from '../brokers/settings.js'

export interface Variant {
  title: string
  /** Whether it must lose nothing and accepts ban commands. */
  isOurs: boolean
  /** Starts the broker on the data in the folder. */
  start(folder: string, port: number, overrides: readonly string[]): Promise<ChildBroker>
}

/** High limits, so that clients that are away lose no messages. */
const LIMITS = { queuedMessages: 10_000_000, queuedBytes: '1024MiB' }

/** By the name that `--variants` takes. */
export const VARIANTS: Readonly<Record<string, Variant>> = {
  artemis: {
    title: 'Artemis',
    isOurs: true,
    start: async (folder, port, overrides) =>
      await startArtemis(folder, withOverrides({ limits: LIMITS }, overrides), port)
  },
  'aedes-level': {
    title: 'bare Aedes on LevelDB',
    isOurs: false,
    start: async (folder, port) => await startAedes(folder, port)
  }
}
