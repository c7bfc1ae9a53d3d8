// A broker as a child process: it says when it listens and on which port, and neither it nor its folder outlives the
// bench.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A broker in a process of its own. */
export interface ChildBroker {
  port: number
  pid: number
  /** The last that it wrote to its standard error. */
  log(): string
  /** Whether it is gone, killed or by itself. */
  hasEnded(): boolean
  /** Ends it at once, without a word; resolves when it is gone. */
  kill(): Promise<void>
}

/** What is to be started. */
export interface Launch {
  name: string
  program: string
  args: readonly string[]
  /** Its port, once its standard error says that it takes clients. */
  portIn: (log: string) => number | undefined
}

const START_LIMIT_MS = 60_000
/** Characters of the log that are kept: the end tells why a broker ended. */
const LOG_KEPT = 16_384

const running = new Set<number>()
const folders = new Set<string>()
// A run that fails leaves nothing behind either.
process.once('exit', () => {
  for (const pid of running) process.kill(pid, 'SIGKILL')
  for (const folder of folders) removeFolder(folder)
})
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    process.exit(1)
  })

/** A folder for brokers' data, which goes with this process at the latest. */
export function temporaryFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `artemis-${name}-`))
  folders.add(folder)
  return folder
}

/** Removes it; a broker that is just dying may still write to it. */
export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  folders.delete(folder)
}

/** Starts it and waits until it listens; fails with what it said where it does not. */
export async function launch({ name, program, args, portIn }: Launch): Promise<ChildBroker> {
  const child = spawn(program, args, { stdio: ['pipe', 'ignore', 'pipe'] })
  const { pid } = child
  const exited = once(child, 'exit')
  if (pid === undefined) await exited
  running.add(pid as number)
  child.once('exit', () => {
    running.delete(pid as number)
  })
  let log = ''
  const port = await new Promise<number>((resolve, reject) => {
    const fail = (what: string): void => {
      reject(new Error(`${name} ${what}:\n${log}`))
    }
    const timer = setTimeout(() => {
      fail('did not start')
    }, START_LIMIT_MS)
    child.once('exit', () => {
      clearTimeout(timer)
      fail('ended before it listened')
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log = (log + text).slice(-LOG_KEPT)
      const port = portIn(log)
      if (port === undefined) return
      clearTimeout(timer)
      resolve(port)
    })
  })
  return {
    port,
    pid: pid as number,
    log: () => log,
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
    async kill() {
      child.kill('SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await exited
    }
  }
}
