// Labels the broker's record log. Its tap numbers frames separately, so they are matched by connection and order.

import { createReadStream, createWriteStream, readFileSync } from 'node:fs'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { CaptureDecoder } from '../../src/decode/capture.js'
import { TcpDecoder } from '../../src/decode/tcp-decoder.js'
import type { Target } from './target.js'

/** Input and output files of labelling. */
export interface RecordLabelInput {
  /** The lab's capture, and its label files. */
  capture: string
  labels: readonly string[]
  /** The broker's record log. */
  records: string
  target: Target
  /** Output files, one for each of `labels`. */
  out: readonly string[]
}

/** Largest difference between two taps' timestamps of one frame. */
const SAME_SECONDS = 0.001

/** Columns of a record that identify its frame. */
interface RecordColumns {
  frame: number
  time: number
  src_ip: string
  dst_ip: string
  tcp_src_port: number
  tcp_dst_port: number
}

/** Writes `frame,label` for the frames of the record log; 0 for frames that are not in the capture. */
export async function labelRecords({ capture, labels, records, target, out }: RecordLabelInput): Promise<void> {
  const queues = await framesByTuple(capture, target)
  const columns = labels.map(path =>
    readFileSync(path, 'utf8')
      .split('\n')
      .map(line => line.slice(line.indexOf(',') + 1))
  )
  const numbers: { frame: number; number: number | null }[] = []
  for await (const line of createInterface({ input: createReadStream(records) })) {
    const {
      frame,
      time,
      src_ip: source,
      dst_ip: destination,
      tcp_src_port: from,
      tcp_dst_port: to
    } = JSON.parse(line) as RecordColumns
    const queue = queues.get(`${source} ${from} ${destination} ${to}`) ?? []
    // Skip frames that only one tap captured.
    while (queue.length > 0 && queue[0].time < time - SAME_SECONDS) queue.shift()
    const found = queue.length > 0 && queue[0].time < time + SAME_SECONDS ? queue.shift() : undefined
    numbers.push({ frame, number: found?.number ?? null })
  }
  numbers.sort((a, b) => a.frame - b.frame)
  for (const [i, path] of out.entries()) {
    const file = createWriteStream(path)
    file.write('frame,label\n')
    // Index 0 is the header, 1 is frame 1.
    for (const { frame, number } of numbers) file.write(`${frame},${number === null ? '0' : columns[i][number]}\n`)
    file.end()
    await once(file, 'close')
  }
}

async function framesByTuple(
  capture: string,
  { port, tlsPort, webSocketPort }: Target
): Promise<Map<string, { number: number; time: number }[]>> {
  const tcp = new TcpDecoder(new Set([port, tlsPort, webSocketPort].filter(one => one !== null)))
  const queues = new Map<string, { number: number; time: number }[]>()
  let frames = 0
  const decoder = new CaptureDecoder(captured => {
    const frame = tcp.decode(captured, ++frames)
    if (frame === null) return
    const key = `${frame.ip.source} ${frame.tcp.sourcePort} ${frame.ip.destination} ${frame.tcp.destinationPort}`
    const entry = { number: frames, time: frame.seconds + frame.nanoseconds / 1e9 }
    const queue = queues.get(key)
    if (queue === undefined) queues.set(key, [entry])
    else queue.push(entry)
  })
  for await (const chunk of createReadStream(capture)) decoder.push(chunk as Buffer)
  decoder.end()
  return queues
}
