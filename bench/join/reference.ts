// Reads the reference from a full capture: the MQTT packets that each frame completes, with an independent decoder if
// possible.

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
import { WebSocketPayloads } from '../../test/support/websocket-payloads.js'

/** A TCP frame of the full capture. */
export interface ReferenceRow {
  frame: number
  /** Epoch seconds. */
  time: number
  sourcePort: number
  destinationPort: number
  /** TCP payload, bytes. */
  length: number
  /** `header remaining-length` of each completed packet, in order. */
  packets: string[]
}

const FIELDS = [
  'frame.number',
  'frame.time_epoch',
  'tcp.srcport',
  'tcp.dstport',
  'tcp.len',
  'mqtt.hdrflags',
  'mqtt.len'
]

/**
 * Reads the frames with tshark, decrypted if there is a key log.
 *
 * @param program path of tshark
 */
export async function tsharkRows(
  program: string,
  capture: string,
  port: number,
  keyLog?: string
): Promise<ReferenceRow[]> {
  const decodeAs =
    keyLog === undefined
      ? ['-d', `tcp.port==${port},mqtt`]
      : ['-o', `tls.keylog_file:${keyLog}`, '-d', `tcp.port==${port},tls`, '-d', `tls.port==${port},mqtt`]
  const tshark = spawn(
    program,
    [
      '-n',
      '-r',
      capture,
      '-o',
      'tcp.reassemble_out_of_order:TRUE',
      '-o',
      'tcp.check_checksum:FALSE',
      ...decodeAs,
      '-Y',
      `tcp.port==${port}`,
      '-T',
      'fields',
      ...FIELDS.flatMap(field => ['-e', field])
    ],
    { stdio: ['ignore', 'pipe', 'ignore'] }
  )
  const closed = once(tshark, 'close')
  const rows: ReferenceRow[] = []
  for await (const line of createInterface({ input: tshark.stdout, crlfDelay: Infinity })) {
    const [frame, time, sourcePort, destinationPort, length, headers, lengths = ''] = line.split('\t')
    const sizes = lengths.split(',')
    rows.push({
      frame: Number(frame),
      time: Number(time),
      sourcePort: Number(sourcePort),
      destinationPort: Number(destinationPort),
      length: Number(length),
      packets: headers ? headers.split(',').map((header, i) => `${Number(header)} ${sizes[i]}`) : []
    })
  }
  const [code] = (await closed) as [number]
  if (code !== 0) throw new Error(`tshark exited with ${code}`)
  return rows
}

/**
 * Reads the frames of a WebSocket or TCP capture with our decoders and an independent RFC 6455 reader: tshark does not
 * decode MQTT in WebSocket.
 */
export async function decodedRows(capture: string, port: number, webSocket: boolean): Promise<ReferenceRow[]> {
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
    const flow = flows.get(stream) ?? { in: new Unwrapper(webSocket), out: new Unwrapper(webSocket) }
    flows.set(stream, flow)
    rows.push({
      frame: number,
      time: timeOf(frame),
      sourcePort: frame.tcp.sourcePort,
      destinationPort: frame.tcp.destinationPort,
      length: frame.payloadLength,
      packets: chunks.flatMap(({ bytes }) => (bytes === null ? [] : flow[direction].push(bytes)))
    })
  })
  for await (const chunk of createReadStream(capture)) decoder.push(chunk as Buffer)
  decoder.end()
  return rows
}

/** Extracts MQTT packets from one direction. */
class Unwrapper {
  readonly #walker = new MqttWalker({ topicCapBytes: 0, payloadCapBytes: 0, session: { version: 4 } })
  readonly #payloads: WebSocketPayloads | undefined

  constructor(inWebSocket: boolean) {
    if (inWebSocket) this.#payloads = new WebSocketPayloads()
  }

  push(bytes: Uint8Array): string[] {
    const packets: string[] = []
    for (const payload of this.#payloads?.push(bytes) ?? [bytes]) {
      this.#walker.push(payload, ({ header, remainingLength }) => {
        packets.push(`${header} ${remainingLength}`)
      })
    }
    return packets
  }
}
