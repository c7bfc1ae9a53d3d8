// Bare Aedes as a child process.

import { fileURLToPath } from 'node:url'
import { launch, type ChildBroker } from './child.js'

const MAIN = fileURLToPath(new URL('./aedes-main.js', import.meta.url))

/**
 * Starts it on loopback.
 *
 * @param folder keeps sessions and retained messages in LevelDB there; null: in memory, as Aedes does by itself
 * @param port 0 takes any free one
 */
export async function startAedes (folder: string | null, port = 0): Promise<ChildBroker> {
  return await launch({
    name: 'bare Aedes',
    program: process.execPath,
    args: [MAIN, String(port), ...folder === null ? [] : [folder]],
    portIn: log => Number(/^port (\d+)$/m.exec(log)?.[1] ?? 0) || undefined
  })
}
