// Decodes captured frames to TCP segments, including fragmented datagrams.
import type { CapturedFrame, TcpFrame } from '../types.js'
import { FragmentAssembly } from './fragments.js'
import type { FragmentCounters, FragmentLimits } from './fragments.js'
import { PROTOCOL_TCP, decodeIp, ipFields } from './ip.js'
import type { IpHeader } from './ip.js'
import { NO_IP, findIp } from './link.js'
import { decodeSegment } from './tcp.js'

/**
 * Decodes the frames of one capture, in order, and reassembles fragments: the frame that completes a datagram becomes
 * the TCP frame, with its own length and IP header and the segment of the whole datagram.
 */
export class TcpDecoder {
  readonly #ports: ReadonlySet<number>
  readonly #fragments: FragmentAssembly

  constructor(ports: ReadonlySet<number>, limits: Partial<FragmentLimits> = {}) {
    this.#ports = ports
    this.#fragments = new FragmentAssembly(limits)
  }

  get counters(): FragmentCounters {
    return this.#fragments.counters
  }

  /** Buffered bytes of incomplete datagrams. */
  get heldBytes(): number {
    return this.#fragments.heldBytes
  }

  /** Returns the TCP frame; null for another protocol or port, or a fragment that completes no datagram. */
  decode(frame: CapturedFrame, number: number): TcpFrame | null {
    const { bytes } = frame
    const start = findIp(frame.linkType, bytes)
    if (start === NO_IP) return null
    const ip = decodeIp(bytes, start, frame.wireLength)
    if (ip === null || ip.protocol !== PROTOCOL_TCP) return null
    if (ip.fragment === null)
      return decodeSegment(frame, number, ip, bytes, ip.payloadOffset, ip.payloadLength, this.#ports)
    const captured = bytes.subarray(ip.payloadOffset, ip.payloadOffset + ip.payloadLength)
    const datagram = this.#fragments.push(
      keyOf(bytes, ip, ip.fragment.id),
      ip.fragment,
      ip.payloadLength,
      captured,
      frame
    )
    return datagram === null ? null : decodeSegment(frame, number, ip, datagram.bytes, 0, datagram.length, this.#ports)
  }
}

function keyOf(bytes: Buffer, ip: IpHeader, id: number): string {
  const { source, destination } = ipFields(bytes, ip)
  return `${source} ${destination} ${id}`
}
