// Runs a program and measures its time, processor time and memory.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'

/** Cost of a run. */
export interface ProgramCost {
  seconds: number
  /** Processor time of all threads, user and system. */
  cpuSeconds: number
  /** Highest resident memory, MB. */
  peakMB: number
}

const POLL_MS = 20
/** Clock ticks per second in /proc, the same on every Linux. */
const TICKS = 100
const KB_PER_MB = 1_000

/** Runs a program with its output in a file. Linux only. */
export async function runProgram(command: string, args: readonly string[], output: string): Promise<ProgramCost> {
  const fd = openSync(output, 'w')
  const startedAt = performance.now()
  const child = spawn(command, args, { stdio: ['ignore', fd, 'pipe'] })
  let stderr = ''
  child.stderr?.on('data', chunk => {
    stderr += String(chunk)
  })
  const cost: ProgramCost = { seconds: 0, cpuSeconds: 0, peakMB: 0 }
  const timer = setInterval(() => {
    if (child.pid !== undefined) sample(child.pid, cost)
  }, POLL_MS)
  try {
    const [code] = (await once(child, 'close')) as [number | null]
    cost.seconds = (performance.now() - startedAt) / 1000
    if (code !== 0) throw new Error(`${command} exited with ${String(code)}: ${stderr}`)
    return cost
  } finally {
    clearInterval(timer)
    closeSync(fd)
  }
}

/** Samples /proc. Both figures only grow, so the last sample counts. */
function sample(pid: number, cost: ProgramCost): void {
  try {
    // The text before ') ' contains the program name.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
    cost.cpuSeconds = Math.max(cost.cpuSeconds, (Number(stat[11]) + Number(stat[12])) / TICKS)
    const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    cost.peakMB = Math.max(cost.peakMB, (Number(peak ?? 0) * 1.024) / KB_PER_MB)
  } catch {
    // The process has exited.
  }
}
