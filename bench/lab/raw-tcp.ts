// Builds IPv4 packets with a TCP header, including checksums.

/** Flags of a TCP header (RFC 9293, section 3.1). */
export const TCP_FLAGS = Object.freeze({ fin: 0x01, syn: 0x02, reset: 0x04, push: 0x08, ack: 0x10, urgent: 0x20 })

/** Header fields. */
export interface TcpPacketFields {
  source: string
  destination: string
  sourcePort: number
  destinationPort: number
  sequence: number
  flags: number
  window: number
  identification: number
  /** TCP options, a multiple of 4 bytes. */
  options?: Buffer
}

const IP_BYTES = 20
const TCP_BYTES = 20
const TTL = 64
const PROTOCOL_TCP = 6

/** Returns an IPv4 packet with a TCP header and no payload. */
export function tcpPacket({
  source,
  destination,
  sourcePort,
  destinationPort,
  sequence,
  flags,
  window,
  identification,
  options = Buffer.alloc(0)
}: TcpPacketFields): Buffer {
  const tcpLength = TCP_BYTES + options.length
  const bytes = Buffer.alloc(IP_BYTES + tcpLength)
  bytes[0] = 0x45
  bytes.writeUInt16BE(bytes.length, 2)
  bytes.writeUInt16BE(identification, 4)
  bytes[8] = TTL
  bytes[9] = PROTOCOL_TCP
  bytes.set(source.split('.').map(Number), 12)
  bytes.set(destination.split('.').map(Number), 16)
  bytes.writeUInt16BE(checksum(bytes.subarray(0, IP_BYTES)), 10)
  const tcp = bytes.subarray(IP_BYTES)
  tcp.writeUInt16BE(sourcePort, 0)
  tcp.writeUInt16BE(destinationPort, 2)
  tcp.writeUInt32BE(sequence, 4)
  tcp[12] = (tcpLength / 4) << 4
  tcp[13] = flags
  tcp.writeUInt16BE(window, 14)
  tcp.set(options, TCP_BYTES)
  const pseudo = Buffer.alloc(12)
  bytes.copy(pseudo, 0, 12, 20)
  pseudo[9] = PROTOCOL_TCP
  pseudo.writeUInt16BE(tcpLength, 10)
  tcp.writeUInt16BE(checksum(Buffer.concat([pseudo, tcp])), 16)
  return bytes
}

/** Returns the Internet checksum (RFC 1071) of an even number of bytes. */
function checksum(bytes: Buffer): number {
  let sum = 0
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}
