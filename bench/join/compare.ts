// Compares the records of a live run with a parallel full capture, frame by frame.

import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import type { ReferenceRow } from './reference.js'

/** Result of the comparison. */
export interface Comparison {
  /** Frames of the capture. */
  frames: number
  /** Of these, frames that complete MQTT packets. */
  withMqtt: number
  /** Number of packets, and the most in one frame. */
  packets: number
  mostInOne: number
  /** MQTT frames whose record has the right fields. */
  right: number
  /** Frames whose record differs from the capture: must be 0. */
  wrong: number
  /** MQTT frames whose record has no packet: join `none`. */
  blank: number
  /** MQTT frames without a record: their connection falls back to packets. */
  absent: number
  /** Records of frames that are not in the capture. */
  unmatched: number
  /** Descriptions of the first wrong frames. */
  examples: string[]
}

/** Largest difference between two taps' timestamps of one frame. */
const SAME_FRAME_SECONDS = 0.002

/** The compared columns. */
interface Line {
  frame: number | null
  time: number
  tcp_src_port: number
  tcp_dst_port: number
  tcp_len: number
  mqtt_header: number | null
  mqtt_len: number | null
}

/**
 * Compares records with the reference.
 *
 * @param records file that the plug-in wrote
 * @param reference frames of the full capture, in its order
 */
export async function compareRecords(records: string, reference: readonly ReferenceRow[]): Promise<Comparison> {
  const result: Comparison = {
    frames: reference.length,
    withMqtt: reference.filter(({ packets }) => packets.length > 0).length,
    packets: reference.reduce((sum, { packets }) => sum + packets.length, 0),
    mostInOne: reference.reduce((most, { packets }) => Math.max(most, packets.length), 0),
    right: 0,
    wrong: 0,
    blank: 0,
    absent: 0,
    unmatched: 0,
    examples: []
  }
  const waiting = new Map<string, { rows: ReferenceRow[]; next: number }>()
  for (const row of reference) {
    const key = `${row.sourcePort} ${row.destinationPort} ${row.length}`
    const known = waiting.get(key)
    if (known === undefined) waiting.set(key, { rows: [row], next: 0 })
    else known.rows.push(row)
  }
  for await (const text of createInterface({ input: createReadStream(records) })) {
    const line = JSON.parse(text) as Line
    if (line.frame === null) continue
    const row = sameFrame(waiting.get(`${line.tcp_src_port} ${line.tcp_dst_port} ${line.tcp_len}`), line.time)
    if (row === undefined) {
      result.unmatched++
      continue
    }
    const expected = row.packets.at(0)
    if (line.mqtt_header === null) {
      if (expected !== undefined) result.blank++
    } else if (`${line.mqtt_header} ${line.mqtt_len}` === expected) {
      result.right++
    } else {
      result.wrong++
      if (result.examples.length < 10) {
        result.examples.push(
          `frame ${row.frame} at ${row.time}, ${row.sourcePort} to ${row.destinationPort}, ${row.length} bytes: ${line.mqtt_header} ${line.mqtt_len}, capture: ${expected ?? 'none'}`
        )
      }
    }
  }
  result.absent = result.withMqtt - result.right - result.blank - Math.min(result.wrong, result.withMqtt)
  return result
}

function sameFrame(
  candidates: { rows: ReferenceRow[]; next: number } | undefined,
  time: number
): ReferenceRow | undefined {
  if (candidates === undefined) return undefined
  const { rows } = candidates
  while (candidates.next < rows.length && rows[candidates.next].time < time - SAME_FRAME_SECONDS) candidates.next++
  // Take the nearest frame: if the tap dropped frames, an earlier one of the same length may be a dropped one.
  let nearest: number | undefined
  for (let i = candidates.next; i < rows.length && rows[i].time <= time + SAME_FRAME_SECONDS; i++) {
    if (nearest === undefined || Math.abs(rows[i].time - time) < Math.abs(rows[nearest].time - time)) nearest = i
  }
  if (nearest === undefined) return undefined
  candidates.next = nearest + 1
  return rows[nearest]
}
