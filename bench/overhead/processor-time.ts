// Processor time of a process and of its main thread, from /proc.

import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'

/** Processor time since the start, microseconds. */
export interface ProcessorTime {
  /** Time of the main thread, on which a broker serves its clients. */
  thread: number
  /** Time of all running threads. */
  process: number
}

/** Length of a clock tick in /proc/PID/stat, on every Linux that Node supports. */
const TICK_US = 10_000
const POLL_INTERVAL_MS = 50
/** A broker below this share of a core is idle. */
const IDLE_SHARE = 0.1
const IDLE_TIMEOUT_MS = 10_000

/** Reads the current processor time. */
export function processorTime(pid: number): ProcessorTime {
  const tasks = readdirSync(`/proc/${pid}/task`).map(Number)
  return {
    thread: timeOf(pid, pid),
    process: tasks.reduce((sum, task) => sum + timeOf(pid, task), 0)
  }
}

/** Resolves when the process is idle: the detection may lag behind. */
export async function waitUntilIdle(pid: number): Promise<void> {
  const deadline = performance.now() + IDLE_TIMEOUT_MS
  for (let before = processorTime(pid).process; performance.now() < deadline;) {
    await pause(POLL_INTERVAL_MS)
    const now = processorTime(pid).process
    if (now - before < POLL_INTERVAL_MS * 1_000 * IDLE_SHARE) return
    before = now
  }
}

/** Uses nanoseconds if the kernel counts them, otherwise clock ticks. */
function timeOf(pid: number, task: number): number {
  const [running] = read(`/proc/${pid}/task/${task}/schedstat`).split(' ')
  if (Number(running) > 0) return Number(running) / 1_000
  // The name may contain spaces and parentheses (proc(5)).
  const fields = read(`/proc/${pid}/task/${task}/stat`)
    .replace(/^.*\) /s, '')
    .split(' ')
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * TICK_US
}

/** Returns an empty text if the thread exits meanwhile. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
