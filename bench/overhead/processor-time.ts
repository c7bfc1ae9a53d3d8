// Processor time of a process and of its main thread, as Linux accounts for it.

import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'

/** Since the start, microseconds. */
export interface ProcessorTime {
  /** Of the main thread, which is the one that a broker serves its clients on. */
  thread: number
  /** Of all threads that live. */
  process: number
}

/** Of a clock tick in /proc/PID/stat, on every Linux that Node runs on. */
const TICK_US = 10_000
const LOOK_EVERY_MS = 50
/** A broker that takes a smaller share of a core has nothing left to do. */
const REST_SHARE = 0.1
const REST_LIMIT_MS = 10_000

/** Reads it now. */
export function processorTime(pid: number): ProcessorTime {
  const tasks = readdirSync(`/proc/${pid}/task`).map(Number)
  return {
    thread: timeOf(pid, pid),
    process: tasks.reduce((sum, task) => sum + timeOf(pid, task), 0)
  }
}

/** Resolves when the process has done what it was behind with: the detection may be. */
export async function untilAtRest(pid: number): Promise<void> {
  const deadline = performance.now() + REST_LIMIT_MS
  for (let before = processorTime(pid).process; performance.now() < deadline;) {
    await pause(LOOK_EVERY_MS)
    const now = processorTime(pid).process
    if (now - before < LOOK_EVERY_MS * 1_000 * REST_SHARE) return
    before = now
  }
}

/** In nanoseconds where the kernel counts them, else in clock ticks. */
function timeOf(pid: number, task: number): number {
  const [running] = read(`/proc/${pid}/task/${task}/schedstat`).split(' ')
  if (Number(running) > 0) return Number(running) / 1_000
  // The name may hold spaces and parentheses (proc(5)).
  const fields = read(`/proc/${pid}/task/${task}/stat`)
    .replace(/^.*\) /s, '')
    .split(' ')
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * TICK_US
}

/** A thread may end while it is being looked at. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
