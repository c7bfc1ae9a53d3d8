// The two brokers of the comparison, started with the same mosquitto.conf.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Test } from 'tap'
import { freePort } from '../../support/free-port.js'
import { findProgram } from '../../support/programs.js'
import { waitUntil } from '../../support/wait-until.js'
import { MAIN } from '../running-broker.js'

/** The brokers. */
export type BrokerName = 'mosquitto' | 'artemis'

/** The configuration of a case. */
export interface ComparedConfig {
  /** mosquitto.conf with `{port}`, `{port2}` and `{dir}`; undefined for none. */
  conf?: string
  /** Further files of the folder, by name. */
  files?: Readonly<Record<string, string>>
  /** Adds more files to the folder. */
  prepare?: (folder: string) => void
}

/** A running broker. */
export interface ComparedBroker {
  name: BrokerName
  port: number
  port2: number
  folder: string
  log: () => string
  /** Rewrites a file of the folder. */
  rewrite: (file: string, text: string) => void
  /** Sends SIGHUP and waits until the broker logs it. */
  reload: () => Promise<void>
  stop: () => Promise<void>
}

/** Timeout, long enough for a busy machine. */
const START_LIMIT_MS = 60_000

const RELOADED: Readonly<Record<BrokerName, RegExp>> = {
  mosquitto: /Reloading config/g,
  artemis: /SIGHUP|Reload failed/g
}
const READY: Readonly<Record<BrokerName, RegExp>> = {
  mosquitto: /mosquitto version \S+ running/,
  artemis: /Artemis is ready/
}

/** Starts a broker. It is stopped when the test ends. */
export async function startCompared(
  test: Test,
  name: BrokerName,
  { conf, files = {}, prepare }: ComparedConfig
): Promise<ComparedBroker> {
  const folder = test.testdir({})
  // mosquitto drops root privileges, so its user needs access.
  chmodSync(folder, 0o755)
  const [port, port2] = [await freePort(), await freePort()]
  const fill = (text: string): string =>
    text.replaceAll('{port}', String(port)).replaceAll('{port2}', String(port2)).replaceAll('{dir}', folder)
  const rewrite = (file: string, text: string): void => {
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true })
    writeFileSync(path.join(folder, file), fill(text))
  }
  for (const [file, text] of Object.entries(files)) rewrite(file, text)
  prepare?.(folder)
  if (conf !== undefined) rewrite('mosquitto.conf', conf)
  rewrite('artemis.yaml', 'tap: { target: none }\n')
  const [program, args] = commandOf(name, port, conf !== undefined)
  const child = spawn(program, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = once(child, 'close')
  let log = ''
  const ready = new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`${name} did not start:\n${log}`))
    }, START_LIMIT_MS)
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        log += text
        if (!READY[name].test(log)) return
        clearTimeout(timer)
        resolve()
      })
    }
    void ended.then(([code]) => {
      clearTimeout(timer)
      reject(new Error(`${name} ended with ${String(code)}:\n${log}`))
    }, reject)
  })
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM')
    await ended
  }
  test.teardown(stop)
  await ready
  const reload = async (): Promise<void> => {
    const count = (): number => log.match(RELOADED[name])?.length ?? 0
    const before = count()
    child.kill('SIGHUP')
    await waitUntil(`${name} logs SIGHUP`, () => count() > before)
  }
  return { name, port, port2, folder, log: () => log, rewrite, reload, stop }
}

function commandOf(name: BrokerName, port: number, hasConf: boolean): [string, string[]] {
  if (name === 'mosquitto')
    return [findProgram('mosquitto'), hasConf ? ['-v', '-c', 'mosquitto.conf'] : ['-v', '-p', String(port)]]
  return [
    process.execPath,
    [MAIN, 'broker', '--data', 'data', ...(hasConf ? ['--mosquitto', 'mosquitto.conf'] : ['--port', String(port)])]
  ]
}
