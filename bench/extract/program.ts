// Runs a program and reads from the system what it took: time, processor time, memory.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'

/** What a run took. */
export interface ProgramCost {
  seconds: number
  /** Of all its threads, user and system. */
  cpuSeconds: number
  /** Highest resident memory, MB. */
  peakMB: number
}

const POLL_MS = 20
/** Ticks of the kernel's clock in a second, as every Linux reports them to programs. */
const TICKS = 100
const KB_PER_MB = 1_000

/** Runs a program with its output into a file. Only Linux tells so much of another process. */
export async function runProgram(command: string, args: readonly string[], output: string): Promise<ProgramCost> {
  const fd = openSync(output, 'w')
  const began = performance.now()
  const child = spawn(command, args, { stdio: ['ignore', fd, 'pipe'] })
  let complaints = ''
  child.stderr?.on('data', chunk => {
    complaints += String(chunk)
  })
  const cost: ProgramCost = { seconds: 0, cpuSeconds: 0, peakMB: 0 }
  const timer = setInterval(() => {
    if (child.pid !== undefined) look(child.pid, cost)
  }, POLL_MS)
  try {
    const [code] = (await once(child, 'close')) as [number | null]
    cost.seconds = (performance.now() - began) / 1000
    if (code !== 0) throw new Error(`${command} ended with ${String(code)}: ${complaints}`)
    return cost
  } finally {
    clearInterval(timer)
    closeSync(fd)
  }
}

/** Both figures only grow, so the last look before the end is the one that counts. */
function look(pid: number, cost: ProgramCost): void {
  try {
    // What stands before the last parenthesis is the program's name.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
    cost.cpuSeconds = Math.max(cost.cpuSeconds, (Number(stat[11]) + Number(stat[12])) / TICKS)
    const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    cost.peakMB = Math.max(cost.peakMB, (Number(peak ?? 0) * 1.024) / KB_PER_MB)
  } catch {
    // It has just ended.
  }
}
