// Hands out free TCP ports, for programs that cannot listen on port 0. Test processes that run in parallel never get
// the same port.

import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import path from 'node:path'

/** A range of ports, both ends included. */
export interface PortRange {
  first: number
  last: number
}

/** Lowest port that is handed out. Most well-known services use lower ones. */
const LOWEST = 10_000
const HIGHEST = 65_535
/** Fewer ports below the ephemeral range than this are not enough for parallel tests. */
const MIN_PORTS = 1_000
const EPHEMERAL_RANGE_FILE = '/proc/sys/net/ipv4/ip_local_port_range'
/** Start of the ephemeral range on systems without this file; Linux has the lowest default. */
const EPHEMERAL_START = 32_768

const reservations = new Set<string>()
process.once('exit', () => {
  for (const file of reservations) rmSync(file, { force: true })
})

/**
 * Returns the ports below the ephemeral range. The system never assigns them to an outgoing connection or to a program
 * that listens on port 0.
 */
export function portsBelowEphemeral(): PortRange {
  const start = existsSync(EPHEMERAL_RANGE_FILE)
    ? Number.parseInt(readFileSync(EPHEMERAL_RANGE_FILE, 'utf8'), 10)
    : EPHEMERAL_START
  // If almost all ports are ephemeral, only the reservations remain.
  return { first: LOWEST, last: start >= LOWEST + MIN_PORTS ? start - 1 : HIGHEST }
}

/**
 * Returns a free port and reserves it until this process exits. If possible, listen on port 0 instead.
 *
 * @param folder where the test processes keep their reservations: an empty file `PORT.PID` for each
 */
export async function freePort(
  { first, last }: PortRange = portsBelowEphemeral(),
  folder: string = path.join(tmpdir(), `artemis-ports-${userInfo().uid}`)
): Promise<number> {
  mkdirSync(folder, { recursive: true })
  const count = last - first + 1
  const offset = Math.floor(Math.random() * count)
  for (let i = 0; i < count; i++) {
    const port = first + ((offset + i) % count)
    const file = path.join(folder, `${port}.${process.pid}`)
    if (!reserve(folder, port, file)) continue
    if (await isFree(port)) return port
    release(file)
  }
  throw new Error(`No free port from ${first} to ${last}. Reservations are in ${folder}.`)
}

/**
 * Reserves a port. Creates the file first and checks for others second: if two processes want the same port, at least
 * one of them sees the other and gives way.
 */
function reserve(folder: string, port: number, file: string): boolean {
  if (existsSync(file)) return false
  writeFileSync(file, '')
  reservations.add(file)
  for (const name of readdirSync(folder)) {
    const other = path.join(folder, name)
    if (!name.startsWith(`${port}.`) || other === file) continue
    if (isRunning(Number(name.slice(name.indexOf('.') + 1)))) {
      release(file)
      return false
    }
    // Its owner was killed.
    rmSync(other, { force: true })
  }
  return true
}

function release(file: string): void {
  rmSync(file, { force: true })
  reservations.delete(file)
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}

/** Whether a program can listen on a port, on all addresses. */
async function isFree(port: number): Promise<boolean> {
  const probe = createServer()
  const listening = once(probe, 'listening')
  probe.listen(port)
  try {
    await listening
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    return false
  }
  probe.close()
  await once(probe, 'close')
  return true
}
