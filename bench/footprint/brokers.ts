// The measured brokers, each started as users start it.

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { usageOf } from './process.js'

const MAIN = fileURLToPath(new URL('../../broker/main.js', import.meta.url))
const START_LIMIT_MS = 30_000
const CONNECT = Buffer.from([0x10, 13, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 60, 0, 1, 0x78])
const CONNACK = 0x20

/** A running broker. */
export interface RunningBroker {
  child: ChildProcess
  pid: number
  port: number
  /** From the start of the process to the first CONNACK, seconds. */
  startSeconds: number
  /** Processor time until then, seconds: comparable on a busy machine. */
  startCpuSeconds: number
  stop(): Promise<void>
}

/** How to start a broker. */
export interface BrokerKind {
  name: string
  /** Returns the program and its arguments. */
  command(port: number, folder: string): [string, ...string[]]
}

/** Artemis with detection. The learning period is short, so that it is guarding when measured. */
export function artemisKind(tap: string, learn: { seconds: number; records: number }): BrokerKind {
  return {
    name: 'artemis',
    command: (port, folder) => {
      const file = path.join(folder, 'artemis.yaml')
      writeFileSync(
        file,
        `listeners: [{ host: 127.0.0.1, port: ${port} }]\ntap: { target: "${tap}" }\nlearn: { duration: ${learn.seconds}s, minimumRecords: ${learn.records} }\n`
      )
      return [process.execPath, MAIN, 'broker', '--config', file, '--data', path.join(folder, 'data')]
    }
  }
}

/** Debian's mosquitto with persistence, configured as its package does. */
export function mosquittoKind(program: string): BrokerKind {
  return {
    name: 'mosquitto',
    command: (port, folder) => {
      const file = path.join(folder, 'mosquitto.conf')
      writeFileSync(
        file,
        `listener ${port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location ${folder}/\nuser root\n`
      )
      return [program, '-c', file]
    }
  }
}

const children = new Set<ChildProcess>()
const folders: string[] = []
// Clean up if the run fails.
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL')
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** Creates a folder that is removed when this process exits. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'artemis-footprint-'))
  folders.push(folder)
  return folder
}

/** Starts a broker and waits until it accepts clients. */
export async function start(kind: BrokerKind, port: number, folder = temporaryFolder()): Promise<RunningBroker> {
  const [program, ...args] = kind.command(port, folder)
  const logFile = path.join(folder, `${kind.name}.log`)
  const log = openSync(logFile, 'a')
  const startedAt = performance.now()
  const child = spawn(program, args, { cwd: folder, stdio: ['ignore', log, log] })
  const ended = once(child, 'exit')
  children.add(child)
  while (!(await acceptsClients(port))) {
    if (child.exitCode !== null || performance.now() - startedAt > START_LIMIT_MS)
      throw new Error(`${kind.name} did not start:\n${readFileSync(logFile, 'utf8')}`)
    await pause(2)
  }
  const startSeconds = (performance.now() - startedAt) / 1_000
  return {
    child,
    pid: child.pid ?? 0,
    port,
    startSeconds,
    startCpuSeconds: usageOf(child.pid ?? 0).cpuSeconds,
    stop: async () => {
      child.kill('SIGTERM')
      await ended
      children.delete(child)
    }
  }
}

/** Whether the broker answers a CONNECT: an open port is not enough. */
async function acceptsClients(port: number): Promise<boolean> {
  return await new Promise(resolve => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => socket.write(CONNECT))
    socket.on('data', bytes => {
      resolve(bytes[0] === CONNACK)
      socket.destroy()
    })
    socket.on('error', () => {
      resolve(false)
    })
    socket.on('close', () => {
      resolve(false)
    })
  })
}
