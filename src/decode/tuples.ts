// Addresses and ports of both ends: which connection a frame is of, and which way it goes.
import type { Endpoint, TcpFrame, TcpStream } from '../types.js'

/** Places for connections that are found again at once; a power of two. */
export const TUPLE_SLOTS = 4_096

/** The name of a connection. */
export function tupleOf(clientAddress: string, clientPort: number, brokerAddress: string, brokerPort: number): string {
  return `${clientAddress} ${clientPort} ${brokerAddress} ${brokerPort}`
}

/** Where to look for a connection first, below {@link TUPLE_SLOTS}; the same for both directions. */
export function slotOf(source: string, sourcePort: number, destination: string, destinationPort: number): number {
  return ((sourcePort ^ destinationPort) + endOf(source) + endOf(destination)) & (TUPLE_SLOTS - 1)
}

/** The last three characters of an address, where those of one network differ. */
function endOf(address: string): number {
  return (
    address.charCodeAt(address.length - 1) * 41 +
    address.charCodeAt(address.length - 2) * 11 +
    address.charCodeAt(address.length - 3)
  )
}

/** Whether a frame is of a stream's tuple. */
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

/** Whether it was sent from there. */
export function isFrom(frame: TcpFrame, endpoint: Endpoint): boolean {
  return frame.tcp.sourcePort === endpoint.port && frame.ip.source === endpoint.address
}
