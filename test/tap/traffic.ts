// TCP traffic on loopback for taps to capture, and checks for processes left running.

import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { findProgram, programMissing, skipReason } from '../support/programs.js'

/** Reached only on failure. */
const WAIT_TIMEOUT_MS = 60_000

/** An echo server and a client that sends text to it. */
export interface Traffic {
  port: number
  /** Sends a text over a new connection; resolves when it was echoed. */
  send(text: string): Promise<void>
  stop(): Promise<void>
}

/** Starts a server on a free loopback port. */
export async function startTraffic(): Promise<Traffic> {
  const server = createServer(socket => socket.on('error', () => {}).pipe(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    port,
    async send(text) {
      const socket = connect(port, '127.0.0.1')
      socket.end(text)
      let echoed = ''
      for await (const chunk of socket) echoed += String(chunk)
      if (echoed !== text) throw new Error(`echo of ${text} was ${echoed}`)
    },
    async stop() {
      server.close()
      await once(server, 'close')
    }
  }
}

/** Returns the name of the loopback interface: `lo` on Linux, `lo0` elsewhere. */
export function loopback(): string {
  const found = Object.entries(networkInterfaces()).find(([, addresses]) => addresses?.some(({ internal }) => internal))
  return found?.[0] ?? 'lo'
}

/** Returns the reason to skip a test that captures on this machine, or false. */
export function captureImpossible(): string | false {
  const missing = programMissing('tcpdump')
  if (missing !== false) return missing
  try {
    // -L opens the interface like a capture, then exits.
    execFileSync(findProgram('tcpdump'), ['-i', loopback(), '-L'], { stdio: 'ignore' })
    return false
  } catch {
    return skipReason('no permission to capture with tcpdump: sudo setcap cap_net_raw+ep $(command -v tcpdump)')
  }
}

/** Returns the process ids of all tcpdumps that capture a port; Linux only, elsewhere none. */
export function tcpdumpsOn(port: number): number[] {
  return processesLike(new RegExp(`^(\\S*/)?tcpdump .*\\bport ${port}\\b`))
}

/** Returns the process ids whose command line, joined by spaces, matches; Linux only, elsewhere none. */
export function processesLike(pattern: RegExp): number[] {
  if (process.platform !== 'linux') return []
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
    .filter(pid => {
      try {
        return pattern.test(readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' '))
      } catch {
        // The process has exited meanwhile.
        return false
      }
    })
}

/** Resolves when a condition is true; rejects after a timeout. */
export async function waitUntil(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + WAIT_TIMEOUT_MS
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`timed out after ${WAIT_TIMEOUT_MS} ms: ${what}`)
    await sleep(10)
  }
}

/** The bytes of a stream so far, and its end. */
export interface Collected {
  text(): string
  bytes(): Buffer
  /** Resolves at the end; rejects with the stream's error. */
  ended: Promise<void>
}

/** Collects the bytes of a stream. */
export function collect(stream: NodeJS.ReadableStream): Collected {
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  const ended = new Promise<void>((resolve, reject) => {
    stream.on('end', resolve).on('error', reject)
  })
  ended.catch(() => {})
  const bytes = (): Buffer => Buffer.concat(chunks)
  return { bytes, text: () => bytes().toString('latin1'), ended }
}
