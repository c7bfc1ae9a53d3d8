// A tcpdump that keeps what it captures, for what is to be compared with a live run frame by frame.

import { chmodSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { findProgram } from './programs.js'

/**
 * Puts it first in this process's search path. Two captures of one run would not do: the kernel stamps
 * each frame once for every capturing socket, some microseconds apart.
 *
 * @returns the file in `directory` that it captures into, from the next start on
 */
export function keepCaptures (directory: string): string {
  const program = join(directory, 'tcpdump')
  writeFileSync(program, `#!/bin/sh
directory=$(dirname "$0")
rm -f "$directory/pipe"
mkfifo "$directory/pipe"
tee "$directory/kept.pcap" <"$directory/pipe" &
exec ${findProgram('tcpdump')} "$@" >"$directory/pipe"
`)
  chmodSync(program, 0o755)
  process.env.PATH = directory + delimiter + String(process.env.PATH)
  return join(directory, 'kept.pcap')
}
