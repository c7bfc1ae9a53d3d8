// Measures the time per stage: runs the pipeline repeatedly, each time one stage further.
import { createReadStream } from 'node:fs'
import { CaptureDecoder } from '../../src/decode/capture.js'
import { TcpDecoder } from '../../src/decode/tcp-decoder.js'
import { TcpStreams } from '../../src/decode/tcp-streams.js'
import { extractFeatures } from '../../src/features/extractor.js'
import { recordWriter } from '../../src/features/record-writer.js'
import { DecodedJoin } from '../../src/join/decoded.js'
import type { TrafficRecord } from '../../src/record.js'
import type { CapturedFrame } from '../../src/types.js'

/** Stages in order; each run includes all earlier stages. */
export const STAGES = ['file', 'pcap', 'link, ip, tcp', 'streams', 'mqtt', 'features', 'output'] as const

const READ_BYTES = 262_144
const ROUNDS = 3
const PEER = {
  client: { address: '', port: 0 },
  broker: { address: '', port: 0 },
  connection: null,
  clientId: null,
  username: null
}

/**
 * Returns the processor time of each stage alone, seconds, in the order of {@link STAGES}; the best of several rounds.
 */
export async function measureStages(file: string, ports: ReadonlySet<number>): Promise<number[]> {
  const best = STAGES.map(() => Infinity)
  for (let round = 0; round < ROUNDS; round++) {
    for (let last = 0; last < STAGES.length; last++)
      best[last] = Math.min(best[last], await cpuSecondsOf(file, ports, last))
  }
  return best.map((seconds, i) => Math.max(0, seconds - (best[i - 1] ?? 0)))
}

async function cpuSecondsOf(file: string, ports: ReadonlySet<number>, last: number): Promise<number> {
  const tcp = new TcpDecoder(ports)
  const streams = new TcpStreams(ports)
  const join = new DecodedJoin({ topicCapBytes: 0 })
  const writer = recordWriter('csv', false)
  let frames = 0
  const decoder = new CaptureDecoder((captured: CapturedFrame) => {
    frames++
    if (last < 2) return
    const frame = tcp.decode(captured, frames)
    if (frame === null || last < 3) return
    const placed = streams.push(frame)
    if (last < 4) return
    const { packet, completed, initiated, join: kind } = join.push(placed)
    if (last < 5) return
    const { number, seconds, nanoseconds } = frame
    const features = extractFeatures(placed, packet)
    const record: TrafficRecord = {
      frame: number,
      seconds,
      nanoseconds,
      features,
      join: kind,
      direction: placed.direction,
      peer: PEER,
      packets: completed,
      initiated,
      own: false
    }
    if (last >= 6) writer.write(record, file)
  })
  const startedAt = process.cpuUsage()
  for await (const chunk of createReadStream(file, { highWaterMark: READ_BYTES })) {
    if (last >= 1) decoder.push(chunk as Buffer)
    writer.take()
  }
  const { user, system } = process.cpuUsage(startedAt)
  return (user + system) / 1e6
}
