// Finds the MQTT packets that each frame of a capture completes, from its bytes alone: the reference for the join.

import { createReadStream } from 'node:fs'
import { CaptureDecoder } from '../../../src/decode/capture.js'
import { MqttWalker } from '../../../src/decode/mqtt.js'
import { TcpDecoder } from '../../../src/decode/tcp-decoder.js'
import { TcpStreams } from '../../../src/decode/tcp-streams.js'
import type { TcpStream } from '../../../src/types.js'
import { WebSocketPayloads } from '../../support/websocket-payloads.js'

/** Protocols around MQTT in a stream, outermost first. */
export interface Wrapping {
  proxy: boolean
  webSocket: boolean
}

/** Marks frames of a direction in which the capture lost a frame. */
export const UNKNOWN = 'unknown'

/** Returns `header length` of the packets that each frame completes, by frame number. */
export async function unwrapCapture(
  capture: string,
  ports: ReadonlyMap<number, Wrapping>
): Promise<Map<number, string[]>> {
  const found = new Map<number, string[]>()
  const watched = new Set(ports.keys())
  const tcp = new TcpDecoder(watched)
  const streams = new TcpStreams(watched)
  const flows = new Map<TcpStream, { in: Unwrapper; out: Unwrapper }>()
  let number = 0
  const decoder = new CaptureDecoder(captured => {
    const frame = tcp.decode(captured, ++number)
    if (frame === null) return
    const { stream, direction, chunks } = streams.push(frame)
    const wrapping = ports.get(stream.broker.port) ?? { proxy: false, webSocket: false }
    const flow = flows.get(stream) ?? { in: new Unwrapper(wrapping), out: new Unwrapper({ ...wrapping, proxy: false }) }
    flows.set(stream, flow)
    if (chunks.some(({ lost }) => lost === true)) flow[direction].isBroken = true
    if (flow[direction].isBroken) {
      found.set(number, [UNKNOWN])
      return
    }
    const packets = chunks.flatMap(({ bytes, length }) =>
      // The snap length only truncates large payloads.
      flow[direction].push(bytes === null ? Buffer.alloc(length) : Buffer.from(bytes))
    )
    if (packets.length > 0) found.set(number, packets)
  })
  for await (const chunk of createReadStream(capture)) decoder.push(chunk as Buffer)
  return found
}

/** Extracts MQTT from one direction. */
class Unwrapper {
  readonly #walker = new MqttWalker({ topicCapBytes: 0, payloadCapBytes: 0, session: { version: 4 } })
  readonly #payloads: WebSocketPayloads | undefined
  isBroken = false
  #header = Buffer.alloc(0)
  #isHeaderRead: boolean

  constructor({ proxy, webSocket }: Wrapping) {
    this.#isHeaderRead = !proxy
    if (webSocket) this.#payloads = new WebSocketPayloads()
  }

  push(bytes: Buffer): string[] {
    const content = this.#afterHeader(bytes)
    const packets: string[] = []
    for (const payload of this.#payloads?.push(content) ?? [content]) {
      this.#walker.push(payload, ({ header, remainingLength }) => {
        packets.push(`${header} ${remainingLength}`)
      })
    }
    return packets
  }

  /** Returns the bytes after the PROXY header. */
  #afterHeader(bytes: Buffer): Buffer {
    if (this.#isHeaderRead) return bytes
    this.#header = Buffer.concat([this.#header, bytes])
    const length = proxyHeaderLength(this.#header)
    if (length === 0 || this.#header.length < length) return Buffer.alloc(0)
    this.#isHeaderRead = true
    return this.#header.subarray(length)
  }
}

/** Returns the length of the header; 0 if it is not known yet. */
function proxyHeaderLength(bytes: Buffer): number {
  if (bytes[0] !== 0x50) return bytes.length < 16 ? 0 : 16 + bytes.readUInt16BE(14)
  const end = bytes.indexOf('\r\n')
  return end < 0 ? 0 : end + 2
}
