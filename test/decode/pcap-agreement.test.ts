// Compares our pcap decoder with pcap-parser, an independent implementation, on captures of real brokers.
import { readFileSync } from 'node:fs'
import { once } from 'node:events'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse, type PcapPacket } from 'pcap-parser'
import t from 'tap'
import { CaptureDecoder } from '../../src/decode/capture.js'

const CAPTURES = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../../test/captures')

interface Frame {
  seconds: number
  microseconds: number
  wireLength: number
  bytes: string
}

function ours(file: string): Frame[] {
  const frames: Frame[] = []
  const decoder = new CaptureDecoder(({ seconds, nanoseconds, wireLength, bytes }) => {
    frames.push({ seconds, microseconds: Math.floor(nanoseconds / 1_000), wireLength, bytes: bytes.toString('hex') })
  })
  decoder.push(readFileSync(file))
  decoder.end()
  return frames
}

async function theirs(file: string): Promise<Frame[]> {
  const frames: Frame[] = []
  const parser = parse(file)
  parser.on('packet', ({ header, data }: PcapPacket) => {
    frames.push({
      seconds: header.timestampSeconds,
      microseconds: header.timestampMicroseconds,
      wireLength: header.originalLength,
      bytes: data.toString('hex')
    })
  })
  await once(parser, 'end')
  return frames
}

for (const name of ['mosquitto-31.pcap', 'mosquitto-311.pcap', 'disorder.pcap', 'snapped.pcap']) {
  t.test(name, async t => {
    const file = path.join(CAPTURES, name)
    const frames = ours(file)
    t.ok(frames.length > 0)
    t.same(frames, await theirs(file))
  })
}
