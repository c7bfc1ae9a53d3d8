// A process as Linux accounts for it, with its children.

import { readdirSync, readFileSync } from 'node:fs'

/** Clock ticks a second in /proc/PID/stat: 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

/** What a process takes. */
export interface Usage {
  /** Resident memory of the process itself, MB (10^6 bytes). */
  residentMb: number
  /** The same of its children, such as tcpdump. */
  childrenMb: number
  /** Processor time since its start, its children's included, seconds. */
  cpuSeconds: number
}

/** Reads it now. */
export function usageOf(pid: number): Usage {
  const children = childrenOf(pid)
  return {
    residentMb: residentOf(pid),
    childrenMb: children.reduce((sum, child) => sum + residentOf(child), 0),
    cpuSeconds: [pid, ...children].reduce((sum, one) => sum + cpuOf(one), 0)
  }
}

/** All descendants that live now. */
function childrenOf(pid: number): number[] {
  const parents = readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(name => ({ pid: Number(name), parent: Number(statOf(Number(name))[1] ?? 0) }))
  const found: number[] = []
  for (let round = [pid]; round.length > 0;) {
    round = parents.filter(({ parent }) => round.includes(parent)).map(one => one.pid)
    found.push(...round)
  }
  return found
}

function residentOf(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`))?.[1]
  return (Number(kilobytes ?? 0) * 1_024) / 1e6
}

function cpuOf(pid: number): number {
  const fields = statOf(pid)
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / TICKS_PER_SECOND
}

/** The fields after the name, which may hold spaces: state, parent, ... (proc(5)). */
function statOf(pid: number): string[] {
  return read(`/proc/${pid}/stat`)
    .replace(/^.*\) /, '')
    .split(' ')
}

/** A process may end while it is being looked at. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
