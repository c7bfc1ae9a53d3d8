// What a full capture says by itself: the MQTT packets that each of its frames completes, by a decoder that is not ours where there is one.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { CaptureDecoder } from '../../src/decode/capture.js'
import { MqttWalker } from '../../src/decode/mqtt.js'
import { TcpDecoder } from '../../src/decode/tcp-decoder.js'
import { TcpStreams } from '../../src/decode/tcp-streams.js'
import { timeOf } from '../../src/record.js'
import type { Direction, TcpStream } from '../../src/types.js'

/** A TCP frame of the capture. */
export interface ReferenceRow {
  frame: number
  /** Epoch seconds. */
  time: number
  sourcePort: number
  destinationPort: number
  /** TCP payload, bytes. */
  length: number
  /** `header remaining-length` of each packet that it completes, in order. */
  packets: string[]
}

const FIELDS = ['frame.number', 'frame.time_epoch', 'tcp.srcport', 'tcp.dstport', 'tcp.len', 'mqtt.hdrflags', 'mqtt.len']

/**
 * The frames as tshark sees them, decrypted where there is a key log.
 *
 * @param program the path of tshark
 */
export async function tsharkRows (program: string, capture: string, port: number, keyLog?: string): Promise<ReferenceRow[]> {
  const within = keyLog === undefined
    ? ['-d', `tcp.port==${port},mqtt`]
    : ['-o', `tls.keylog_file:${keyLog}`, '-d', `tcp.port==${port},tls`, '-d', `tls.port==${port},mqtt`]
  const tshark = spawn(program, [
    '-n', '-r', capture, '-o', 'tcp.reassemble_out_of_order:TRUE', '-o', 'tcp.check_checksum:FALSE', ...within,
    '-Y', `tcp.port==${port}`, '-T', 'fields', ...FIELDS.flatMap(field => ['-e', field])
  ], { stdio: ['ignore', 'pipe', 'ignore'] })
  const closed = once(tshark, 'close')
  const rows: ReferenceRow[] = []
  for await (const line of createInterface({ input: tshark.stdout, crlfDelay: Infinity })) {
    const [frame, time, sourcePort, destinationPort, length, headers, lengths] = line.split('\t')
    const sizes = (lengths ?? '').split(',')
    rows.push({
      frame: Number(frame),
      time: Number(time),
      sourcePort: Number(sourcePort),
      destinationPort: Number(destinationPort),
      length: Number(length),
      packets: headers ? headers.split(',').map((header, i) => `${Number(header)} ${sizes[i]}`) : []
    })
  }
  const [code] = await closed as [number]
  if (code !== 0) throw new Error(`tshark ended with exit code ${code}`)
  return rows
}

/** The frames of a capture of WebSocket or plain TCP, by our own decoders and a reader of RFC 6455 that shares nothing with the join's: tshark does not look for MQTT inside WebSocket. */
export async function decodedRows (capture: string, port: number, webSocket: boolean): Promise<ReferenceRow[]> {
  const rows: ReferenceRow[] = []
  const ports = new Set([port])
  const tcp = new TcpDecoder(ports)
  const streams = new TcpStreams(ports)
  const flows = new Map<TcpStream, Record<Direction, Unwrapper>>()
  let number = 0
  const decoder = new CaptureDecoder(captured => {
    const frame = tcp.decode(captured, ++number)
    if (frame === null) return
    const { stream, direction, chunks } = streams.push(frame)
    const flow = flows.get(stream) ?? { in: new Unwrapper(!webSocket), out: new Unwrapper(!webSocket) }
    flows.set(stream, flow)
    rows.push({
      frame: number,
      time: timeOf(frame),
      sourcePort: frame.tcp.sourcePort,
      destinationPort: frame.tcp.destinationPort,
      length: frame.payloadLength,
      packets: chunks.flatMap(({ bytes }) => bytes === null ? [] : flow[direction].push(bytes))
    })
  })
  for await (const chunk of createReadStream(capture)) decoder.push(chunk as Buffer)
  decoder.end()
  return rows
}

/** Takes MQTT out of one direction: HTTP up to the empty line, then whole frames of RFC 6455, section 5.2. */
class Unwrapper {
  private readonly walker = new MqttWalker({ topicCapBytes: 0, payloadCapBytes: 0, session: { version: 4 } })
  private rest = Buffer.alloc(0)
  private upgraded = false

  constructor (private readonly bare: boolean) {}

  push (bytes: Uint8Array): string[] {
    const packets: string[] = []
    const walk = (mqtt: Uint8Array): void => {
      this.walker.push(mqtt, ({ header, remainingLength }) => { packets.push(`${header} ${remainingLength}`) })
    }
    if (this.bare) {
      walk(bytes)
      return packets
    }
    this.rest = Buffer.concat([this.rest, bytes])
    if (!this.upgraded) {
      const end = this.rest.indexOf('\r\n\r\n')
      if (end < 0) return []
      this.upgraded = true
      this.rest = this.rest.subarray(end + 4)
    }
    for (let payload = this.frame(); payload !== null; payload = this.frame()) walk(payload)
    return packets
  }

  private frame (): Buffer | null {
    const { rest } = this
    if (rest.length < 2) return null
    const short = rest[1] & 0x7f
    const lengthBytes = short === 127 ? 8 : short === 126 ? 2 : 0
    const maskBytes = rest[1] > 127 ? 4 : 0
    const start = 2 + lengthBytes + maskBytes
    if (rest.length < start) return null
    const length = lengthBytes === 0 ? short : rest.readUIntBE(lengthBytes === 8 ? 4 : 2, lengthBytes === 8 ? 6 : 2)
    if (rest.length < start + length) return null
    const payload = Buffer.from(rest.subarray(start, start + length))
    const mask = rest.subarray(start - maskBytes, start)
    if (maskBytes > 0) for (let i = 0; i < length; i++) payload[i] ^= mask[i % 4]
    this.rest = rest.subarray(start + length)
    return (rest[0] & 0x0f) > 2 ? Buffer.alloc(0) : payload
  }
}
