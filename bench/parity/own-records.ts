// Our side of the comparison: the records of a capture, and conditions that confuse tshark.
import { createReadStream } from 'node:fs'
import { CaptureDecoder } from '../../src/decode/capture.js'
import { gunzipped } from '../../src/decode/gunzip.js'
import { MqttWalker } from '../../src/decode/mqtt.js'
import { TcpDecoder } from '../../src/decode/tcp-decoder.js'
import { TcpStreams } from '../../src/decode/tcp-streams.js'
import { TCP_FIN, TCP_SYN } from '../../src/decode/tcp.js'
import { extractFeatures } from '../../src/features/extractor.js'
import type { FeatureValues } from '../../src/features/schema.js'
import { DecodedJoin } from '../../src/join/decoded.js'
import type { Direction, JoinKind, StreamFrame, TcpStream } from '../../src/types.js'

/** Conditions that confuse tshark in one direction of a stream; updated while the capture is read. */
export interface Doubts {
  /** Bytes were missing, or the capture started mid-stream. */
  incomplete: boolean
  /** The snap length truncated frames. */
  cut: boolean
  /** A segment ended within the remaining length of a packet. */
  splitLength: boolean
  /** A remaining length of five bytes. */
  malformed: boolean
}

/** A record of our decoder. */
export interface OwnRecord {
  frame: number
  values: FeatureValues
  /** `none` in a stream that starts with TLS. */
  join: JoinKind
  doubts: Doubts
  /** Conditions of the other direction of the stream. */
  otherDoubts: Doubts
}

/**
 * Reads a capture as `artemis extract` does. Throws an `OperatorError` for a corrupt file, after the records before the
 * corruption.
 */
export async function* ownRecords(file: string, ports: readonly number[]): AsyncGenerator<OwnRecord> {
  const watched = new Set(ports)
  const tcp = new TcpDecoder(watched)
  const streams = new TcpStreams(watched)
  const join = new DecodedJoin()
  const doubts = new DoubtTracker()
  let records: OwnRecord[] = []
  let frames = 0
  const decoder = new CaptureDecoder(captured => {
    const frame = tcp.decode(captured, ++frames)
    if (frame === null) return
    const streamFrame = streams.push(frame)
    const { join: kind, packet } = join.push(streamFrame)
    records.push({
      frame: frames,
      values: extractFeatures(streamFrame, packet),
      join: kind,
      ...doubts.follow(streamFrame)
    })
  })
  for await (const chunk of gunzipped(createReadStream(file))) {
    decoder.push(chunk)
    yield* records
    records = []
  }
  decoder.end()
}

interface Followed extends Doubts {
  walker: MqttWalker
  /** Sequence number of the first byte. */
  first: number
}

class DoubtTracker {
  readonly #streams = new WeakMap<TcpStream, Record<Direction, Followed>>()

  follow({ stream, direction, chunks, frame, to }: StreamFrame): Pick<OwnRecord, 'doubts' | 'otherDoubts'> {
    let both = this.#streams.get(stream)
    if (both === undefined) {
      both = { in: followed(), out: followed() }
      this.#streams.set(stream, both)
    }
    const doubts = both[direction]
    const { walker } = doubts
    const isCut = frame.payload.length < frame.payloadLength
    if (isCut) doubts.cut = true
    for (const { bytes, length } of chunks) {
      if (!stream.synced[direction] || (bytes === null && !isCut)) doubts.incomplete = true
      if (bytes === null) walker.skip(length)
      else walker.push(bytes, () => undefined)
    }
    if (!walker.boundary && walker.declared === 0 && !walker.lost) doubts.splitLength = true
    doubts.malformed = walker.malformed
    const { sequence, flags } = frame.tcp
    if ((flags & TCP_SYN) !== 0) doubts.first = sequence + 1
    // FIN arrived, but some earlier bytes did not.
    if ((flags & TCP_FIN) !== 0 && (sequence + frame.payloadLength - doubts.first) >>> 0 !== to % 0x1_0000_0000)
      doubts.incomplete = true
    return { doubts, otherDoubts: both[direction === 'in' ? 'out' : 'in'] }
  }
}

function followed(): Followed {
  const walker = new MqttWalker({ topicCapBytes: 0, payloadCapBytes: 0, session: { version: 0 } })
  return { walker, first: 0, incomplete: false, cut: false, splitLength: false, malformed: false }
}
