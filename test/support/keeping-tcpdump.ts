// A tcpdump that keeps what it captures, for what is to be compared with a live run frame by frame.

import { chmodSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { findProgram } from './programs.js'

/** Room for frames not yet read, KiB: so much that a machine which does much else loses none. */
const BUFFER_KIB = 524_288

/**
 * Puts it first in this process's search path. Two captures of one run would not do: the kernel stamps
 * each frame once for every capturing socket, some microseconds apart.
 *
 * @returns the file in `directory` that it captures into, from the next start on
 */
export function keepCaptures(directory: string): string {
  const program = join(directory, 'tcpdump')
  writeFileSync(
    program,
    `#!/bin/sh
directory=$(dirname "$0")
before=
for argument do
  shift
  [ "$before" = -B ] && argument=${BUFFER_KIB}
  set -- "$@" "$argument"
  before=$argument
done
: >"$directory/kept.pcap"
# Whoever reads slowly does not make tcpdump wait.
tail -c +1 -f -s 0.1 --pid=$$ "$directory/kept.pcap" &
exec ${findProgram('tcpdump')} "$@" >"$directory/kept.pcap"
`
  )
  chmodSync(program, 0o755)
  process.env.PATH = directory + delimiter + String(process.env.PATH)
  return join(directory, 'kept.pcap')
}
