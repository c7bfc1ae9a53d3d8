// Bare Aedes as a child process.

import type { ChildBroker } from './child.js'
import { startScript } from './script.js'

/**
 * Starts Aedes on loopback.
 *
 * @param folder LevelDB folder for sessions and retained messages; null keeps them in memory, the Aedes default
 * @param port 0 takes any free port
 */
export async function startAedes(folder: string | null, port = 0): Promise<ChildBroker> {
  return await startScript('bare Aedes', new URL('./aedes-main.js', import.meta.url), [
    String(port),
    ...(folder === null ? [] : [folder])
  ])
}
