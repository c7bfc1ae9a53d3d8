// Kills the tcpdump of a test, to simulate a crash.

import { readdirSync, readFileSync } from 'node:fs'

/** Kills every tcpdump that captures this port, which must belong to the test. Returns the number of processes. */
export function killTcpdump(port: number): number {
  let killed = 0
  for (const pid of readdirSync('/proc').filter(name => /^\d+$/.test(name))) {
    try {
      const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
      if (!args[0].endsWith('tcpdump') || !args.some(arg => new RegExp(`port ${port}\\b`).test(arg))) continue
      process.kill(Number(pid), 'SIGKILL')
      killed++
    } catch {
      /* It has exited in the meantime. */
    }
  }
  return killed
}
