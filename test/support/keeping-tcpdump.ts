// A tcpdump that also saves its capture to a file, to compare a live run with it frame by frame.

import { chmodSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { findProgram } from './programs.js'

/** Capture buffer, KiB: large enough that a busy machine drops no frame. */
const BUFFER_KIB = 524_288

/**
 * Puts that tcpdump first on the PATH of this process. A second capture would not do, because the kernel gives each
 * frame a slightly different time stamp per capturing socket.
 *
 * @returns path of the capture file in `directory`, written from the next start of tcpdump
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
# A slow reader does not block tcpdump.
tail -c +1 -f -s 0.1 --pid=$$ "$directory/kept.pcap" &
exec ${findProgram('tcpdump')} "$@" >"$directory/kept.pcap"
`
  )
  chmodSync(program, 0o755)
  process.env.PATH = directory + delimiter + String(process.env.PATH)
  return join(directory, 'kept.pcap')
}
