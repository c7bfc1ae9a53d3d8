// A broker that is a script of the bench's own: a Node program that writes `port N` to its standard error and ends with
// its standard input.

import { fileURLToPath } from 'node:url'
import { launch, type ChildBroker } from './child.js'

/** Starts it with the arguments that it takes. */
export async function startScript(name: string, script: URL, args: readonly string[]): Promise<ChildBroker> {
  return await launch({
    name,
    program: process.execPath,
    args: [fileURLToPath(script), ...args],
    portIn: log => Number(/^port (\d+)$/m.exec(log)?.[1] ?? 0) || undefined
  })
}
