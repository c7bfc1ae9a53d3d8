// The program as users run it, a child process with settings of the bench's own and its data in a folder.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import { launch, type ChildBroker } from './child.js'
import type { SettingsTree } from './settings.js'

const MAIN = fileURLToPath(new URL('../../broker/main.js', import.meta.url))

/**
 * Starts it on loopback, without a tap.
 *
 * @param folder for settings and data
 * @param settings beside those; they win
 * @param port 0 takes any free one
 */
export async function startArtemis (folder: string, settings: SettingsTree = {}, port = 0): Promise<ChildBroker> {
  const config = join(folder, 'artemis.yaml')
  writeFileSync(config, stringify({
    listeners: [{ host: '127.0.0.1', port }],
    data: join(folder, 'data'),
    log: { format: 'json' },
    tap: { target: 'none' },
    ...settings
  }))
  let found: number | undefined
  return await launch({
    name: 'artemis',
    program: process.execPath,
    args: [MAIN, 'broker', '--config', config],
    portIn (log) {
      found ??= Number(/"port":(\d+),"msg":"Listening/.exec(log)?.[1] ?? 0) || undefined
      return log.includes('Artemis is ready') ? found : undefined
    }
  })
}
