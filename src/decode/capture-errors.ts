// What can be wrong with a capture as a whole, said so that the operator can mend it.
import { OperatorError } from '../errors.js'

/** Largest frame that a capture may hold, bytes: tcpdump's own largest snap length. */
export const MAX_CAPTURED_LENGTH = 262_144

/** A capture without a single byte (`capture-empty`). */
export function emptyCapture(): OperatorError {
  return new OperatorError(
    'capture-empty',
    'the capture is empty: it holds no bytes at all',
    'Check that the capturing program could write and was ended properly; a capture of no frames still has a header.'
  )
}

/** Bytes that are no capture (`capture-not-recognised`); `found` says what they look like. */
export function notACapture(found: string): OperatorError {
  return new OperatorError(
    'capture-not-recognised',
    `this is not a capture: ${found}`,
    'Give a pcap or pcapng file, gzip-compressed or not, as tcpdump, dumpcap and Wireshark write it.'
  )
}

/** A capture whose structure contradicts itself at `offset` bytes (`capture-corrupt`). */
export function corruptCapture(found: string, offset: number): OperatorError {
  return new OperatorError(
    'capture-corrupt',
    `the capture is corrupt at byte ${offset}: ${found}`,
    'The frames before that byte are sound. Capture again, or keep the sound part with: editcap -r IN OUT 1-N'
  )
}

/** A capture that ends in the middle of a record (`capture-cut-short`); whole frames were delivered before. */
export function cutShort(frames: number, left: number): OperatorError {
  return new OperatorError(
    'capture-cut-short',
    `the capture is cut short: ${left} ${left === 1 ? 'byte' : 'bytes'} of an unfinished record follow frame ${frames}`,
    'All whole frames were read. The capturing program was stopped hard or the copy is incomplete: copy it again, or let tcpdump end with an interrupt.'
  )
}
