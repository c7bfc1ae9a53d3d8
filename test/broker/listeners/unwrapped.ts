// What MQTT packets each frame of a capture completes, read from its bytes alone: the reference for the join.

import { createReadStream } from 'node:fs'
import { CaptureDecoder } from '../../../src/decode/capture.js'
import { MqttWalker } from '../../../src/decode/mqtt.js'
import { TcpDecoder } from '../../../src/decode/tcp-decoder.js'
import { TcpStreams } from '../../../src/decode/tcp-streams.js'
import type { TcpStream } from '../../../src/types.js'

/** What stands around MQTT in a stream, outermost first. */
export interface Wrapping {
  proxy: boolean
  webSocket: boolean
}

/** Stands for what nobody knows: the frames of a direction from which the capture lost one. */
export const UNKNOWN = 'unknown'

/** `header length` of the packets that each frame completes, by the frame's number. */
export async function unwrapCapture (capture: string, ports: ReadonlyMap<number, Wrapping>): Promise<Map<number, string[]>> {
  const found = new Map<number, string[]>()
  const watched = new Set(ports.keys())
  const tcp = new TcpDecoder(watched)
  const streams = new TcpStreams(watched)
  const flows = new Map<TcpStream, { in: Unwrapper, out: Unwrapper }>()
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
      // What the snap length cut off is the end of a large payload.
      flow[direction].push(bytes === null ? Buffer.alloc(length) : Buffer.from(bytes)))
    if (packets.length > 0) found.set(number, packets)
  })
  for await (const chunk of createReadStream(capture)) decoder.push(chunk as Buffer)
  return found
}

/** Takes MQTT out of one direction. */
class Unwrapper {
  private readonly walker = new MqttWalker({ topicCapBytes: 0, payloadCapBytes: 0, session: { version: 4 } })
  isBroken = false
  private rest = Buffer.alloc(0)
  private isIntroduced: boolean
  private isUpgraded: boolean

  constructor (private readonly wrapping: Wrapping) {
    this.isIntroduced = !wrapping.proxy
    this.isUpgraded = !wrapping.webSocket
  }

  push (bytes: Buffer): string[] {
    this.rest = Buffer.concat([this.rest, bytes])
    this.isIntroduced ||= this.cut(proxyHeaderLength(this.rest))
    if (this.isIntroduced) this.isUpgraded ||= this.cut(this.rest.indexOf('\r\n\r\n') + 4, 4)
    if (!this.isIntroduced || !this.isUpgraded) return []
    const packets: string[] = []
    const walk = (payload: Buffer): void => {
      this.walker.push(payload, ({ header, remainingLength }) => { packets.push(`${header} ${remainingLength}`) })
    }
    if (this.wrapping.webSocket) for (let payload = this.frame(); payload !== null; payload = this.frame()) walk(payload)
    else {
      walk(this.rest)
      this.rest = Buffer.alloc(0)
    }
    return packets
  }

  /** Cuts a beginning off, where it is there. */
  private cut (length: number, least = 1): boolean {
    if (length < least || this.rest.length < length) return false
    this.rest = this.rest.subarray(length)
    return true
  }

  /** The payload of the next whole frame (RFC 6455, section 5.2). */
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

function proxyHeaderLength (bytes: Buffer): number {
  if (bytes[0] === 0x50) return bytes.indexOf('\r\n') + 2
  return bytes.length < 16 ? 0 : 16 + bytes.readUInt16BE(14)
}
