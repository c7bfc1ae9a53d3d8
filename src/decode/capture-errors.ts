// Errors of a capture as a whole, with remedies.
import { OperatorError } from '../errors.js'

/** Largest captured frame, bytes: tcpdump's maximum snap length. */
export const MAX_CAPTURED_LENGTH = 262_144

/** Creates the error for an empty capture (`capture-empty`). */
export function emptyCapture(): OperatorError {
  return new OperatorError(
    'capture-empty',
    'the capture is empty (0 bytes)',
    'Check that the capture program could write and exited cleanly. A capture without frames still has a header.'
  )
}

/** Creates the error for bytes that are not a capture (`capture-not-recognised`); `found` describes them. */
export function notACapture(found: string): OperatorError {
  return new OperatorError(
    'capture-not-recognised',
    `not a capture file: ${found}`,
    'Use a pcap or pcapng file, gzip-compressed or not, as tcpdump, dumpcap and Wireshark write it.'
  )
}

/** Creates the error for a capture with invalid structure at byte `offset` (`capture-corrupt`). */
export function corruptCapture(found: string, offset: number): OperatorError {
  return new OperatorError(
    'capture-corrupt',
    `the capture is corrupt at byte ${offset}: ${found}`,
    'The frames before that byte are intact. Capture again, or extract them: editcap -r IN OUT 1-N'
  )
}

/** Creates the error for a capture that ends inside a record (`capture-cut-short`); complete frames were delivered. */
export function cutShort(frames: number, left: number): OperatorError {
  return new OperatorError(
    'capture-cut-short',
    `the capture is truncated: ${left} ${left === 1 ? 'byte' : 'bytes'} of an incomplete record after frame ${frames}`,
    'All complete frames were read. The capture program was killed or the copy is incomplete: copy the file again, or stop tcpdump with SIGINT.'
  )
}
