// Bare Aedes as a child process.

import type { ChildBroker } from './child.js'
import { startScript } from './script.js'

/**
 * Starts it on loopback.
 *
 * @param folder keeps sessions and retained messages in LevelDB there; null: in memory, as Aedes does by itself
 * @param port 0 takes any free one
 */
export async function startAedes(folder: string | null, port = 0): Promise<ChildBroker> {
  return await startScript('bare Aedes', new URL('./aedes-main.js', import.meta.url), [
    String(port),
    ...(folder === null ? [] : [folder])
  ])
}
