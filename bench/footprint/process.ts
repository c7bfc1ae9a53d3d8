// Resource usage of a process and its children, from /proc.

import { readdirSync, readFileSync } from 'node:fs'

/** Clock ticks per second in /proc/PID/stat: 100 on every Linux that Node supports. */
const TICKS_PER_SECOND = 100

/** Resource usage of a process. */
export interface Usage {
  /** Resident memory of the process itself, MB (10^6 bytes). */
  residentMb: number
  /** Resident memory of its children, such as tcpdump, MB. */
  childrenMb: number
  /** Processor time since its start, its children's included, seconds. */
  cpuSeconds: number
}

/** Reads the current usage. */
export function usageOf(pid: number): Usage {
  const children = childrenOf(pid)
  return {
    residentMb: residentOf(pid),
    childrenMb: children.reduce((sum, child) => sum + residentOf(child), 0),
    cpuSeconds: [pid, ...children].reduce((sum, one) => sum + cpuOf(one), 0)
  }
}

/** Returns all running descendants. */
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

/** Returns the fields after the name, which may contain spaces: state, parent, ... (proc(5)). */
function statOf(pid: number): string[] {
  return read(`/proc/${pid}/stat`)
    .replace(/^.*\) /, '')
    .split(' ')
}

/** Returns an empty text if the process exits meanwhile. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
