// Runs the program as a user does.

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../broker/main.js', import.meta.url))

/** Exit code and output of a run. */
export interface RunResult {
  code: number | null
  out: string
  err: string
}

/** Starts the program; `ending` resolves when it has exited. */
export function startArtemis(args: readonly string[]): { child: ChildProcess; ending: Promise<RunResult> } {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
  // It may exit before it has read all of its input.
  child.stdin.on('error', () => {})
  const ending = Promise.all([
    text(child.stdout as NodeJS.ReadableStream),
    text(child.stderr as NodeJS.ReadableStream),
    once(child, 'close')
  ]).then(([out, err, [code]]) => ({ out, err, code: code as number | null }))
  return { child, ending }
}

/** Runs the program with `input` on its standard input; empty by default. */
export async function runArtemis(args: readonly string[], input?: Uint8Array): Promise<RunResult> {
  const { child, ending } = startArtemis(args)
  child.stdin?.end(input)
  return await ending
}
