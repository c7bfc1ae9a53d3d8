// Makes captures of random MQTT traffic with reordering, duplication and loss, to compare both decoders.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ACK, FIN, PSH, SYN, frameOf, pcapFile } from '../../test/decode/craft.js'
import {
  CONNACK,
  PINGREQ,
  PINGRESP,
  PUBACK,
  connect,
  packet,
  publish,
  subscribe
} from '../../test/decode/craft-mqtt.js'
import type { CapturedFrame } from '../../src/types.js'

const BROKER_PORT = 1883
const START = 1_700_000_000
/** Maximum delay of a late segment, milliseconds. */
const LATEST = 20

/** Probability of each disturbance, in [0, 1]. */
interface Disorder {
  /** A segment is captured later than it should be. */
  late: number
  /** A segment is captured twice. */
  twice: number
  /** A segment is sent again together with part of what follows. */
  overlap: number
  /** A segment is never captured. */
  lost: number
}

class Random {
  #state: number
  constructor(seed: number) {
    this.#state = seed
  }

  /** Returns an integer in [0, below). */
  below(below: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((this.#state / 0x1_0000_0000) * below)
  }

  chance(probability: number): boolean {
    return this.below(1_000_000) < probability * 1_000_000
  }
}

/** Returns a packet of any kind, mostly PUBLISH. */
function anyPacket(random: Random, isClient: boolean, version: number): Buffer {
  const properties = version === 5 ? (random.chance(0.5) ? Buffer.from([35, 0, 1]) : Buffer.alloc(0)) : null
  const kind = random.below(10)
  if (kind === 0) return isClient ? PINGREQ : PINGRESP
  if (kind === 1) return PUBACK
  if (kind === 2 && isClient) return subscribe([`f/${random.below(100)}`, '#'], { properties })
  if (kind === 3 && !isClient) return packet(0x90, Buffer.from([0, 7, ...(version === 5 ? [0] : []), 1]))
  const size = random.chance(0.1) ? random.below(4000) : random.below(120)
  return publish(`topic/${random.below(1000)}`, Buffer.alloc(size, 97 + random.below(26)), {
    qos: random.below(3),
    properties
  })
}

/** Splits a stream into segments. */
function* segments(random: Random, stream: Buffer): Generator<{ from: number; to: number }> {
  for (let from = 0; from < stream.length;) {
    const to = Math.min(stream.length, from + 1 + random.below(random.chance(0.3) ? 20 : 1400))
    yield { from, to }
    from = to
  }
}

/** Returns the frames of one connection with their capture times. */
function connection(random: Random, port: number, disorder: Disorder): { at: number; frame: CapturedFrame }[] {
  const version = [3, 4, 4, 5][random.below(4)]
  const initial = { in: random.below(0x1_0000_0000), out: random.below(0x1_0000_0000) }
  const streams = {
    in: [connect(version, `c${port}`)],
    out: [version === 5 ? packet(0x20, Buffer.from([0, 0, 0])) : CONNACK]
  }
  for (let i = random.below(40); i > 0; i--) streams.in.push(anyPacket(random, true, version))
  for (let i = random.below(40); i > 0; i--) streams.out.push(anyPacket(random, false, version))
  const frames: { at: number; frame: CapturedFrame }[] = []
  let at = random.below(1000)
  const ends = { in: 0, out: 0 }
  const send = (direction: 'in' | 'out', offset: number, payload: Buffer, flags: number): void => {
    const isIn = direction === 'in'
    const frame = frameOf({
      source: isIn ? '10.0.0.2' : '10.0.0.1',
      destination: isIn ? '10.0.0.1' : '10.0.0.2',
      sourcePort: isIn ? port : BROKER_PORT,
      destinationPort: isIn ? BROKER_PORT : port,
      sequence: initial[direction] + offset,
      acknowledgement: (flags & ACK) === 0 ? 0 : initial[isIn ? 'out' : 'in'] + 1 + ends[isIn ? 'out' : 'in'],
      flags,
      payload
    })
    if (payload.length > 0 && random.chance(disorder.lost)) return
    const late = payload.length > 0 && random.chance(disorder.late) ? 1 + random.below(LATEST) : 0
    frames.push({ at: at + late, frame })
    if (payload.length > 0 && random.chance(disorder.twice)) frames.push({ at: at + late + random.below(10), frame })
    at += 1 + random.below(3)
  }
  send('in', 0, Buffer.alloc(0), SYN)
  send('out', 0, Buffer.alloc(0), SYN | ACK)
  send('in', 1, Buffer.alloc(0), ACK)
  for (const direction of ['in', 'out'] as const) {
    const stream = Buffer.concat(streams[direction])
    for (const { from, to } of segments(random, stream)) {
      const start = random.chance(disorder.overlap) ? Math.max(0, from - random.below(200)) : from
      send(direction, 1 + start, stream.subarray(start, to), ACK | PSH)
      ends[direction] = to
    }
    // No acknowledgements before the segments arrive.
    at += LATEST
  }
  send('in', 1 + ends.in, Buffer.alloc(0), ACK | FIN)
  return frames
}

function capture(seed: number, connections: number, disorder: Disorder): Buffer {
  const random = new Random(seed)
  const frames = Array.from({ length: connections }, (_, i) => connection(random, 20_000 + i, disorder)).flat()
  frames.sort((a, b) => a.at - b.at)
  return pcapFile(
    frames.map(({ frame, at }) => ({
      ...frame,
      seconds: START + Math.floor(at / 1000),
      nanoseconds: (at % 1000) * 1_000_000
    }))
  )
}

const KINDS: Readonly<Record<string, Disorder>> = {
  order: { late: 0, twice: 0, overlap: 0, lost: 0 },
  late: { late: 0.05, twice: 0, overlap: 0, lost: 0 },
  repeated: { late: 0, twice: 0.05, overlap: 0.05, lost: 0 },
  disorder: { late: 0.05, twice: 0.03, overlap: 0.03, lost: 0 },
  loss: { late: 0.02, twice: 0.02, overlap: 0.02, lost: 0.01 }
}

const { values } = parseArgs({
  options: {
    out: { type: 'string' },
    connections: { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' }
  }
})
if (values.out === undefined) {
  process.stderr.write('node dist/bench/parity/disorder.js --out DIRECTORY [--connections N] [--seed N]\n')
  process.exitCode = 1
} else {
  for (const [kind, disorder] of Object.entries(KINDS)) {
    writeFileSync(
      join(values.out, `random-${kind}.pcap`),
      capture(Number(values.seed), Number(values.connections), disorder)
    )
  }
}
