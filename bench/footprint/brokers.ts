// The brokers that are measured, each started as its users start it.

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

/** A broker that runs. */
export interface RunningBroker {
  child: ChildProcess
  pid: number
  port: number
  /** From the start of the process to the first CONNACK, seconds. */
  startSeconds: number
  /** Processor time that it took until then, seconds: what counts on a machine that is busy with other things. */
  startCpuSeconds: number
  stop(): Promise<void>
}

/** How a broker is started. */
export interface BrokerKind {
  name: string
  /** Program and arguments, given its port and a folder of its own. */
  command(port: number, folder: string): [string, ...string[]]
}

/** Ours, with the detection on; it learns for as long as it is told, so that it guards when it is measured. */
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

/** Debian's mosquitto with persistence, as its package sets it up. */
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
// A run that fails leaves nothing behind either.
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL')
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** A folder that goes with this process. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'artemis-footprint-'))
  folders.push(folder)
  return folder
}

/** Starts one and waits until it takes clients. */
export async function start(kind: BrokerKind, port: number, folder = temporaryFolder()): Promise<RunningBroker> {
  const [program, ...args] = kind.command(port, folder)
  const logFile = path.join(folder, `${kind.name}.log`)
  const log = openSync(logFile, 'a')
  const began = performance.now()
  const child = spawn(program, args, { cwd: folder, stdio: ['ignore', log, log] })
  const ended = once(child, 'exit')
  children.add(child)
  while (!(await answers(port))) {
    if (child.exitCode !== null || performance.now() - began > START_LIMIT_MS)
      throw new Error(`${kind.name} did not start:\n${readFileSync(logFile, 'utf8')}`)
    await pause(2)
  }
  const startSeconds = (performance.now() - began) / 1_000
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

/** Whether a CONNECT is answered: a port that is open says little. */
async function answers(port: number): Promise<boolean> {
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
