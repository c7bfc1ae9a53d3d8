// Builds captures byte by byte for tests: MQTT packets, TCP segments, frames, pcap files.
import type { CapturedFrame, TcpFrame } from '../../src/types.js'
import { TcpDecoder } from '../../src/decode/tcp-decoder.js'

export const FIN = 1
export const SYN = 2
export const RST = 4
export const PSH = 8
export const ACK = 16

/** The fields of a segment that tests set. */
export interface Segment {
  source?: string
  destination?: string
  sourcePort?: number
  destinationPort?: number
  sequence?: number
  acknowledgement?: number
  flags?: number
  window?: number
  payload?: Uint8Array
  /** TCP options, a multiple of 4 bytes. */
  options?: Uint8Array
  /** Overrides the total length in the IPv4 header. */
  ipLength?: number
}

export const CLIENT = '10.0.0.2'
export const BROKER = '10.0.0.1'

/** Builds a TCP segment without its IP header; by default from client port 40000 to port 1883. */
export function tcpBytes(segment: Segment): Buffer {
  const {
    sourcePort = 40_000,
    destinationPort = 1883,
    sequence = 0,
    acknowledgement = 0,
    flags = ACK,
    window = 512
  } = segment
  const { payload = new Uint8Array(0), options = new Uint8Array(0) } = segment
  const header = Buffer.alloc(20)
  header.writeUInt16BE(sourcePort, 0)
  header.writeUInt16BE(destinationPort, 2)
  header.writeUInt32BE(sequence >>> 0, 4)
  header.writeUInt32BE(acknowledgement >>> 0, 8)
  header.writeUInt16BE((((20 + options.length) / 4) << 12) | flags, 12)
  header.writeUInt16BE(window, 14)
  return Buffer.concat([header, options, payload])
}

/** Builds an IPv4 datagram; `fragmentWord` is flags and fragment offset, `options` a multiple of 4 bytes. */
export function ipv4Bytes(
  body: Uint8Array,
  fields: {
    source?: string
    destination?: string
    id?: number
    fragmentWord?: number
    options?: Uint8Array
    length?: number
  } = {}
): Buffer {
  const { source = CLIENT, destination = BROKER, id = 1, fragmentWord = 0x4000, options = new Uint8Array(0) } = fields
  const headerLength = 20 + options.length
  const header = Buffer.alloc(20)
  header[0] = 0x40 | (headerLength / 4)
  header.writeUInt16BE(fields.length ?? headerLength + body.length, 2)
  header.writeUInt16BE(id, 4)
  header.writeUInt16BE(fragmentWord, 6)
  header[8] = 64
  header[9] = 6
  header.set(source.split('.').map(Number), 12)
  header.set(destination.split('.').map(Number), 16)
  return Buffer.concat([header, options, body])
}

/** Builds an IPv6 datagram between two 16-byte addresses; `extensions` precede the body. */
export function ipv6Bytes(
  body: Uint8Array,
  fields: { source?: Uint8Array; destination?: Uint8Array; next?: number; extensions?: Uint8Array } = {}
): Buffer {
  const { source = ipv6(1), destination = ipv6(2), next = 6, extensions = new Uint8Array(0) } = fields
  const header = Buffer.alloc(8)
  header[0] = 0x60
  header.writeUInt16BE(extensions.length + body.length, 4)
  header[6] = next
  header[7] = 64
  return Buffer.concat([header, source, destination, extensions, body])
}

/** 2001:db8::last */
export function ipv6(last: number): Uint8Array {
  const address = Buffer.alloc(16)
  address.set([0x20, 0x01, 0x0d, 0xb8])
  address[15] = last
  return address
}

/** Builds an Ethernet frame with `tags` (each: ethertype and VLAN id), padded to 60 bytes. */
export function ethernetBytes(body: Uint8Array, { ethertype = 0x0800, tags = [] as readonly number[] } = {}): Buffer {
  const head = Buffer.from([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2])
  const types = Buffer.alloc(tags.length * 4 + 2)
  tags.forEach((tag, i) => {
    types.writeUInt16BE(tag, i * 4)
    types.writeUInt16BE(7, i * 4 + 2)
  })
  types.writeUInt16BE(ethertype, tags.length * 4)
  const frame = Buffer.concat([head, types, body])
  return frame.length < 60 ? Buffer.concat([frame, Buffer.alloc(60 - frame.length, 0xee)]) : frame
}

/** Builds a captured Ethernet frame with IPv4 and TCP, at `time` in seconds. */
export function frameOf(segment: Segment, time = 0): CapturedFrame {
  const { source, destination, ipLength } = segment
  return captured(ethernetBytes(ipv4Bytes(tcpBytes(segment), { source, destination, length: ipLength })), { time })
}

/** Builds a captured frame of any kind. */
export function captured(bytes: Buffer, { time = 0, linkType = 1, wireLength = bytes.length } = {}): CapturedFrame {
  const seconds = Math.floor(time)
  return { seconds, nanoseconds: Math.round((time - seconds) * 1e9), linkType, wireLength, bytes }
}

export const PORTS: ReadonlySet<number> = new Set([1883])

/** Decodes a single frame as the first of its capture; null if it has no complete TCP segment on these ports. */
export function decodeTcp(frame: CapturedFrame, number: number, ports: ReadonlySet<number>): TcpFrame | null {
  return new TcpDecoder(ports).decode(frame, number)
}

/** Decodes a segment. */
export function tcpFrame(segment: Segment, number = 1, time = 0): TcpFrame {
  const frame = decodeTcp(frameOf(segment, time), number, PORTS)
  if (frame === null) throw new Error('not a TCP segment')
  return frame
}

/** Builds a classic pcap file. */
export function pcapFile(
  frames: readonly CapturedFrame[],
  { nano = false, bigEndian = false, linkType = 1 } = {}
): Buffer {
  const parts: Buffer[] = [Buffer.alloc(24)]
  const put = bigEndian ? ('BE' as const) : ('LE' as const)
  const head = parts[0]
  head[`writeUInt32${put}`](nano ? 0xa1b23c4d : 0xa1b2c3d4, 0)
  head[`writeUInt16${put}`](2, 4)
  head[`writeUInt16${put}`](4, 6)
  head[`writeUInt32${put}`](262_144, 16)
  head[`writeUInt32${put}`](linkType, 20)
  for (const { seconds, nanoseconds, bytes, wireLength } of frames) {
    const record = Buffer.alloc(16)
    record[`writeUInt32${put}`](seconds, 0)
    record[`writeUInt32${put}`](nano ? nanoseconds : Math.floor(nanoseconds / 1000), 4)
    record[`writeUInt32${put}`](bytes.length, 8)
    record[`writeUInt32${put}`](wireLength, 12)
    parts.push(record, bytes)
  }
  return Buffer.concat(parts)
}

/** A TCP connection that computes its sequence and acknowledgement numbers. */
export class Talk {
  readonly frames: CapturedFrame[] = []
  #sequence = { in: 1000, out: 5000 }
  #time: number

  constructor(
    readonly clientPort = 40_000,
    start = 0,
    readonly client = CLIENT
  ) {
    this.#time = start
  }

  /** Builds a segment with `payload` from one side, one millisecond after the previous one. */
  send(direction: 'in' | 'out', payload: Uint8Array, flags = ACK | PSH): CapturedFrame {
    const frame = frameOf(this.segment(direction, payload, flags), this.#time)
    this.#time += 0.001
    this.#sequence[direction] =
      (this.#sequence[direction] + payload.length + ((flags & (SYN | FIN)) === 0 ? 0 : 1)) >>> 0
    this.frames.push(frame)
    return frame
  }

  segment(direction: 'in' | 'out', payload: Uint8Array, flags = ACK): Segment {
    const isIn = direction === 'in'
    return {
      source: isIn ? this.client : BROKER,
      destination: isIn ? BROKER : this.client,
      sourcePort: isIn ? this.clientPort : 1883,
      destinationPort: isIn ? 1883 : this.clientPort,
      sequence: this.#sequence[direction],
      acknowledgement: (flags & ACK) === 0 ? 0 : this.#sequence[isIn ? 'out' : 'in'],
      flags,
      payload
    }
  }

  /** Builds SYN, SYN-ACK and ACK. */
  open(): this {
    this.send('in', new Uint8Array(0), SYN)
    this.send('out', new Uint8Array(0), SYN | ACK)
    this.send('in', new Uint8Array(0), ACK)
    return this
  }
}
