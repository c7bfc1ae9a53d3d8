// The program as users run it: a child process with the bench's settings and its data in a folder.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import { launch, type ChildBroker } from './child.js'
import type { SettingsTree } from './settings.js'

const CORE_MAIN = fileURLToPath(new URL('./core-main.js', import.meta.url))
const MAIN = fileURLToPath(new URL('../../broker/main.js', import.meta.url))

/**
 * Starts the broker on loopback, without a tap.
 *
 * @param folder for settings and data
 * @param settings override the defaults of the bench
 * @param port 0 takes any free port
 */
export async function startArtemis(folder: string, settings: SettingsTree = {}, port = 0): Promise<ChildBroker> {
  const config = writeSettings(folder, settings, port)
  let found: number | undefined
  return await launch({
    name: 'artemis',
    program: process.execPath,
    args: [MAIN, 'broker', '--config', config],
    portIn(log) {
      found ??= Number(/"port":(\d+),"msg":"Listening/.exec(log)?.[1] ?? 0) || undefined
      return log.includes('Artemis is ready') ? found : undefined
    }
  })
}

/** Starts the broker without detection. */
export async function startCore(folder: string, settings: SettingsTree = {}, port = 0): Promise<ChildBroker> {
  return await launch({
    name: 'artemis without detection',
    program: process.execPath,
    args: [CORE_MAIN, writeSettings(folder, settings, port)],
    portIn: log => Number(/^port (\d+)$/m.exec(log)?.[1] ?? 0) || undefined
  })
}

function writeSettings(folder: string, settings: SettingsTree, port: number): string {
  const config = join(folder, 'artemis.yaml')
  writeFileSync(
    config,
    stringify({
      listeners: [{ host: '127.0.0.1', port }],
      data: join(folder, 'data'),
      log: { format: 'json' },
      tap: { target: 'none' },
      ...settings
    })
  )
  return config
}
