// Ends the tcpdump of a test as a fault would.

import { readdirSync, readFileSync } from 'node:fs'

/** Kills every tcpdump that captures this port, which is nobody else's; returns how many there were. */
export function killTcpdump(port: number): number {
  let killed = 0
  for (const pid of readdirSync('/proc').filter(name => /^\d+$/.test(name))) {
    try {
      const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
      if (!args[0].endsWith('tcpdump') || !args.some(arg => new RegExp(`port ${port}\\b`).test(arg))) continue
      process.kill(Number(pid), 'SIGKILL')
      killed++
    } catch {
      /* It ended in between. */
    }
  }
  return killed
}
