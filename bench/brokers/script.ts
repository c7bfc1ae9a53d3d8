// A broker that is a script of the bench: a Node program that writes `port N` to standard error and exits when its
// standard input ends.

import { fileURLToPath } from 'node:url'
import { launch, type ChildBroker } from './child.js'

/** Starts the script. */
export async function startScript(name: string, script: URL, args: readonly string[]): Promise<ChildBroker> {
  return await launch({
    name,
    program: process.execPath,
    args: [fileURLToPath(script), ...args],
    portIn: log => Number(/^port (\d+)$/m.exec(log)?.[1] ?? 0) || undefined
  })
}
