// A broker as a child process. Neither the process nor its folder outlives the bench.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A broker in its own process. */
export interface ChildBroker {
  port: number
  pid: number
  /** Returns the end of its standard error. */
  log(): string
  /** Whether the process has exited, killed or by itself. */
  hasEnded(): boolean
  /** Sends SIGKILL; resolves when the process has exited. */
  kill(): Promise<void>
}

/** A broker to start. */
export interface Launch {
  name: string
  program: string
  args: readonly string[]
  /** Returns the port once standard error shows that the broker accepts clients. */
  portIn: (log: string) => number | undefined
}

const START_LIMIT_MS = 60_000
/** Characters of the log to keep. The end shows why a broker exited. */
const LOG_KEPT = 16_384

const running = new Set<number>()
const folders = new Set<string>()
// Clean up if the run fails.
process.once('exit', () => {
  for (const pid of running) process.kill(pid, 'SIGKILL')
  for (const folder of folders) removeFolder(folder)
})
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    process.exit(1)
  })

/** Creates a folder for broker data. It is removed when this process exits, at the latest. */
export function temporaryFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `artemis-${name}-`))
  folders.add(folder)
  return folder
}

/** Removes a folder. Retries, because a broker that is exiting may still write to it. */
export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  folders.delete(folder)
}

/** Starts a broker and waits until it listens; rejects with its log if it does not. */
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
      fail('exited before it listened')
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
