// Connection tuples: which connection a frame belongs to, and its direction.
import type { Endpoint, TcpFrame, TcpStream } from '../types.js'

/** Size of a connection cache; a power of two. */
export const TUPLE_SLOTS = 4_096

/** Returns the key of a connection. */
export function tupleOf(clientAddress: string, clientPort: number, brokerAddress: string, brokerPort: number): string {
  return `${clientAddress} ${clientPort} ${brokerAddress} ${brokerPort}`
}

/** Returns a connection's cache slot, below {@link TUPLE_SLOTS}; the same for both directions. */
export function slotOf(source: string, sourcePort: number, destination: string, destinationPort: number): number {
  return ((sourcePort ^ destinationPort) + suffixHash(source) + suffixHash(destination)) & (TUPLE_SLOTS - 1)
}

/** Hashes the last three characters of an address, in which hosts of one network differ. */
function suffixHash(address: string): number {
  return (
    address.charCodeAt(address.length - 1) * 41 +
    address.charCodeAt(address.length - 2) * 11 +
    address.charCodeAt(address.length - 3)
  )
}

/** Whether a frame has a stream's tuple, in either direction. */
export function isBetween(frame: TcpFrame, { client, broker }: TcpStream): boolean {
  const {
    ip: { source, destination },
    tcp: { sourcePort, destinationPort }
  } = frame
  return sourcePort === client.port
    ? destinationPort === broker.port && source === client.address && destination === broker.address
    : sourcePort === broker.port &&
        destinationPort === client.port &&
        source === broker.address &&
        destination === client.address
}

/** Whether a frame was sent from an endpoint. */
export function isFrom(frame: TcpFrame, endpoint: Endpoint): boolean {
  return frame.tcp.sourcePort === endpoint.port && frame.ip.source === endpoint.address
}
