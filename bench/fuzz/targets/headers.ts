// Fuzz targets for link, IP and TCP headers of single frames, and for IP fragments.
import { isIP } from 'node:net'
import type { Random } from '../../../models/random.js'
import { FragmentAssembly } from '../../../src/decode/fragments.js'
import { decodeTcp } from '../../../test/decode/craft.js'
import { TcpDecoder } from '../../../src/decode/tcp-decoder.js'
import type { TcpFrame } from '../../../src/types.js'
import { captured, ethernetBytes, ipv4Bytes, ipv6Bytes, tcpBytes } from '../../../test/decode/craft.js'
import { Script } from '../script.js'
import { check, contentAt, sameBytes } from '../target.js'
import type { FuzzTarget } from '../target.js'

const PORTS: ReadonlySet<number> = new Set([1883, 8883])
const LINK_TYPES = [1, 113, 276, 0, 108, 101, 12, 14, 228, 229, 147, -1]
const LARGEST_DATAGRAM = 65_535

/** Adds the link-layer header to an IP packet. */
function framed(random: Random, linkType: number, packet: Buffer, isIpv6: boolean): Buffer {
  const ethertype = Buffer.from(isIpv6 ? [0x86, 0xdd] : [8, 0])
  switch (linkType) {
    case 1:
      return ethernetBytes(packet, {
        ethertype: isIpv6 ? 0x86dd : 0x0800,
        tags: [[], [0x8100], [0x88a8, 0x8100], [0x9100, 0x9200]][random.integer(4)]
      })
    case 113:
      return Buffer.concat([Buffer.alloc(14), ethertype, packet])
    case 276:
      return Buffer.concat([ethertype, Buffer.alloc(18), packet])
    case 0:
    case 108:
      return Buffer.concat([Buffer.from([0, 0, 0, isIpv6 ? 30 : 2]), packet])
    default:
      return packet
  }
}

function extensionsOf(random: Random): { next: number; extensions: Buffer } {
  const kinds = Array.from({ length: random.integer(4) }, () => [0, 43, 44, 51, 60][random.integer(5)])
  const headers = kinds.map((kind, i) => {
    const header = Buffer.alloc(kind === 51 ? 12 : 8)
    header[0] = kinds[i + 1] ?? 6
    header[1] = kind === 51 ? 1 : 0
    if (kind === 44 && random.integer(2) === 0) header[3] = 1
    return header
  })
  return { next: kinds[0] ?? 6, extensions: Buffer.concat(headers) }
}

/** Input: a byte for the link type, a byte for the bytes cut off the frame, and the frame. */
export const headersTarget: FuzzTarget = {
  name: 'headers',
  properties: 'a frame or null; lengths within the frame; valid addresses; the same or null for a truncated frame',
  weight: 22,
  covers: ['src/decode/link.js', 'src/decode/ip.js', 'src/decode/tcp.js', 'src/decode/addresses.js'],
  generate(random) {
    const kind = random.integer(LINK_TYPES.length)
    const segment = tcpBytes({
      payload: Buffer.alloc(random.integer(20), 7),
      options: Buffer.alloc(random.integer(3) * 4, 1),
      flags: random.integer(0x1000),
      destinationPort: random.integer(2) === 0 ? 1883 : 8883
    })
    const isIpv6 = random.integer(2) === 0
    const packet = isIpv6
      ? ipv6Bytes(segment, extensionsOf(random))
      : ipv4Bytes(segment, { options: Buffer.alloc(random.integer(4) * 4, 1) })
    return Buffer.concat([
      Buffer.from([kind, random.integer(3) * 20]),
      framed(random, LINK_TYPES[kind], packet, isIpv6)
    ])
  },
  run(input) {
    if (input.length < 2) return
    const linkType = LINK_TYPES[input[0] % LINK_TYPES.length]
    const bytes = Buffer.from(input.buffer, input.byteOffset + 2, input.length - 2)
    const wireLength = bytes.length + input[1]
    const decode = (length: number): TcpFrame | null =>
      decodeTcp(captured(bytes.subarray(0, length), { linkType, wireLength }), 1, PORTS)
    const whole = decode(bytes.length)
    const cut = decode(input[1] % (bytes.length + 1))
    if (whole === null) {
      check(cut === null, 'a truncated frame is decoded, the full one is not')
      return
    }
    checkFrame(whole, wireLength)
    if (cut === null) return
    const { payload, ...fields } = whole
    const { payload: cutPayload, ...cutFields } = cut
    check(JSON.stringify(fields) === JSON.stringify(cutFields), 'a truncated frame has different fields')
    check(sameBytes(cutPayload, payload.subarray(0, cutPayload.length)), 'a truncated frame has a different payload')
  }
}

function checkFrame({ ip, tcp, payload, payloadLength }: TcpFrame, wireLength: number): void {
  check(isIP(ip.source) !== 0 && isIP(ip.destination) !== 0, 'an address is invalid')
  check(payloadLength >= 0 && payloadLength <= wireLength, 'the payload is longer than the frame')
  check(payload.length <= payloadLength, 'the captured payload exceeds the payload length')
  check(ip.ttl >= 0 && ip.ttl <= 255 && ip.length >= 20, 'an IP header field is out of range')
  check(tcp.flags >= 0 && tcp.flags <= 0xfff && tcp.window <= 0xffff, 'a TCP header field is out of range')
  check(PORTS.has(tcp.sourcePort) || PORTS.has(tcp.destinationPort), 'neither port is an MQTT port')
}

/** Datagrams with different keys have different content. */
const KEY_STEP = 4_099

const LIMITS = { datagrams: 4, pieces: 8, ageSeconds: 60, heldBytes: 20_000 }

/** Input: a script of fragments with datagram, offset, length and captured share. */
export const fragmentsTarget: FuzzTarget = {
  name: 'fragments',
  properties: 'a reassembled datagram has the sent bytes for any order and overlap; memory within the caps',
  weight: 3,
  covers: ['src/decode/fragments.js'],
  generate: random =>
    Uint8Array.from({ length: 6 * (1 + random.integer(20)) }, (_, i) =>
      i % 6 === 1 || i % 6 === 3 || i % 6 === 5 ? random.integer(3) : random.integer(random.integer(2) === 0 ? 8 : 256)
    ),
  run(input) {
    const script = new Script(input)
    const assembly = new FragmentAssembly(LIMITS)
    let seconds = 0
    while (!script.over) {
      const key = script.below(8)
      const offset = script.uint16() & 0xfff8
      const size = script.uint16()
      const traits = script.byte()
      // Long fragments are rare, because they are slow.
      const length = (traits & 0x0c) === 0x0c ? size : size & 0x1ff
      const captured = (traits & 2) === 0 ? length : length >> 1
      if ((traits & 0xf0) === 0xf0) seconds += 30
      const bytes = contentAt(key * KEY_STEP + offset, captured)
      const datagram = assembly.push(String(key), { id: key, offset, more: (traits & 1) === 0 }, length, bytes, {
        seconds,
        nanoseconds: 0
      })
      check(assembly.waiting <= LIMITS.datagrams, 'too many datagrams are held')
      check(assembly.heldBytes >= 0 && assembly.heldBytes <= LIMITS.heldBytes, 'too many bytes are held')
      if (datagram === null) continue
      check(
        datagram.length <= LARGEST_DATAGRAM && datagram.bytes.length <= datagram.length,
        'a datagram exceeds the maximum length'
      )
      check(
        sameBytes(datagram.bytes, contentAt(key * KEY_STEP, datagram.bytes.length)),
        'a datagram has bytes that were not sent'
      )
    }
  }
}

/** Input: consecutive frames of a capture, including fragments. */
export const ipTarget: FuzzTarget = {
  name: 'ip',
  properties: 'no fragment, header or length causes an error; frames meet the checks of single ones',
  weight: 20,
  covers: ['src/decode/tcp-decoder.js', 'src/decode/ip.js', 'src/decode/fragments.js'],
  generate(random) {
    const body = tcpBytes({ payload: Buffer.alloc(random.integer(60), 1) })
    const parts: Buffer[] = []
    for (let i = 1 + random.integer(6); i > 0; i--) {
      const from = random.integer(6) * 8
      const piece = body.subarray(from, random.integer(3) === 0 ? undefined : from + 8 * random.integer(6))
      const isIpv6 = random.integer(3) === 0
      const header = Buffer.from([6, 0, 0, from | random.integer(2), 0, 0, 0, random.integer(2)])
      const packet = isIpv6
        ? ipv6Bytes(piece, { next: 44, extensions: header })
        : ipv4Bytes(piece, { id: random.integer(2), fragmentWord: (from / 8) | (random.integer(2) * 0x2000) })
      parts.push(Buffer.from([packet.length]), packet)
    }
    return Buffer.concat(parts)
  },
  run(input) {
    const script = new Script(input)
    const decoder = new TcpDecoder(PORTS, LIMITS)
    for (let number = 1; !script.over; number++) {
      const bytes = Buffer.from(script.take(script.byte()))
      const frame = decoder.decode(captured(bytes, { linkType: 101, wireLength: bytes.length }), number)
      if (frame !== null) checkFrame(frame, LARGEST_DATAGRAM)
    }
    const { fragments, reassembled, fragmentsDropped } = decoder.counters
    check(reassembled + fragmentsDropped <= fragments, 'more datagrams completed than fragments received')
  }
}
