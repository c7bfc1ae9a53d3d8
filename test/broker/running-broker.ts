// Runs the program as a child process and reads its log.

import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'

/** The compiled program. */
export const MAIN = fileURLToPath(new URL('../../broker/main.js', import.meta.url))

const START_LIMIT_MS = 60_000
const RUN_LIMIT_MS = 120_000

/** How a process ended. */
export interface ProcessResult {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

/** Runs `artemis` with the given arguments until it exits. */
export async function runArtemis(args: readonly string[], cwd: string): Promise<ProcessResult> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: RUN_LIMIT_MS,
    killSignal: 'SIGKILL'
  })
  return await resultOf(child)
}

function resultOf(child: ChildProcess): Promise<ProcessResult> {
  return new Promise((resolve, reject) => {
    const output = { stdout: '', stderr: '' }
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output.stdout += text
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      output.stderr += text
    })
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code, signal, ...output }))
  })
}

/** A running broker. */
export interface RunningBroker {
  port: number
  /** `mqtt://127.0.0.1:PORT` */
  url: string
  child: ChildProcess
  /** Everything logged so far. */
  log: () => string
  /** Sends a signal and waits for the exit. */
  stop: (signal?: NodeJS.Signals) => Promise<ProcessResult>
}

/**
 * Starts a broker on a free port. It is killed when the test ends, if it still runs. Without settings in the folder, it
 * runs without a tap.
 */
export async function startBroker(test: Test, folder: string, args: readonly string[] = []): Promise<RunningBroker> {
  const file = path.join(folder, 'artemis.yaml')
  if (!existsSync(file)) writeFileSync(file, 'tap:\n  target: none\n')
  const all = [MAIN, '--port', '0', '--data', 'data', ...args]
  const child = spawn(process.execPath, all, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
  const ending = resultOf(child)
  test.teardown(async () => {
    child.kill('SIGKILL')
    await ending
  })
  let log = ''
  const port = await new Promise<number>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the broker did not start:\n${log}`)), START_LIMIT_MS)
    let found: number | undefined
    child.stderr.on('data', (text: string) => {
      log += text
      found ??= Number(/"port":(\d+),"msg":"Listening/.exec(log)?.[1] ?? NaN) || undefined
      if (found === undefined || !log.includes('Artemis is ready')) return
      clearTimeout(timer)
      resolve(found)
    })
    void ending.then(({ code, stderr }) => {
      clearTimeout(timer)
      reject(new Error(`the broker ended with ${code}:\n${stderr}`))
    }, reject)
  })
  return {
    port,
    url: `mqtt://127.0.0.1:${port}`,
    child,
    log: () => log,
    stop: async (signal = 'SIGTERM') => {
      child.kill(signal)
      return await ending
    }
  }
}
