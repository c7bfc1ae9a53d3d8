// Puts together what $SYS/broker/... is told from.

import { readFileSync } from 'node:fs'
import type { Broker } from '../core/broker.js'
import type { Tally } from '../limits/tally.js'
import { Traffic } from './traffic.js'
import { SysTree } from './tree.js'

/** To be called before the broker accepts connections: what comes past is not counted. */
export function openSysTree (broker: Broker, tally: Tally): SysTree {
  const traffic = new Traffic()
  traffic.watch(broker)
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string }
  return new SysTree({ broker, traffic, tally, version: `artemis version ${version}` })
}
