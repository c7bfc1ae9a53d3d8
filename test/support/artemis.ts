// The program itself, run to its end, as a user runs it.

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../broker/main.js', import.meta.url))

/** How a run ended, and what it said. */
export interface Ending {
  code: number | null
  out: string
  err: string
}

/** Starts the program; `ending` resolves when it is gone. */
export function startArtemis(args: readonly string[]): { child: ChildProcess; ending: Promise<Ending> } {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
  // It may end before it has read everything.
  child.stdin.on('error', () => {})
  const ending = Promise.all([
    text(child.stdout as NodeJS.ReadableStream),
    text(child.stderr as NodeJS.ReadableStream),
    once(child, 'close')
  ]).then(([out, err, [code]]) => ({ out, err, code: code as number | null }))
  return { child, ending }
}

/** Runs the program with nothing, or `input`, on its standard input. */
export async function runArtemis(args: readonly string[], input?: Uint8Array): Promise<Ending> {
  const { child, ending } = startArtemis(args)
  child.stdin?.end(input)
  return await ending
}
