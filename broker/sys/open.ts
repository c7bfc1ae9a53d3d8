// Puts together what $SYS/broker/... is told from.

import { readFileSync } from 'node:fs'
import type { Aedes } from 'aedes'
import type { Tally } from '../limits/tally.js'
import type { Store } from '../persistence.js'
import { Sessions } from './sessions.js'
import { Traffic } from './traffic.js'
import { SysTree, type Kept } from './tree.js'

/** Where the figures of a running broker come from. */
export interface RunningBroker {
  aedes: Aedes
  store: Store
  tally: Tally
  /** Messages that wait for clients. */
  queued: () => Kept
}

/** To be called before the broker accepts connections: what comes past is not counted. */
export async function openSysTree ({ aedes, store, tally, queued }: RunningBroker): Promise<SysTree> {
  const traffic = new Traffic()
  traffic.watch(aedes)
  const sessions = await Sessions.open(aedes, store)
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string }
  return new SysTree({
    aedes, traffic, sessions, tally, queued,
    retained: () => ({ messages: store.retained.size, bytes: store.retained.bytes }),
    version: `artemis version ${version}`
  })
}
