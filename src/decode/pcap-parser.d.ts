// Types of what decode/pcap.ts uses of the package pcap-parser, which ships none.

declare module 'pcap-parser' {
  import type { EventEmitter } from 'node:events'

  export interface GlobalHeader {
    linkLayerType: number
  }

  export interface PacketHeader {
    timestampSeconds: number
    timestampMicroseconds: number
    capturedLength: number
    originalLength: number
  }

  export interface Parser {
    on(event: 'globalHeader', listener: (header: GlobalHeader) => void): this
    on(event: 'packetHeader', listener: (header: PacketHeader) => void): this
    on(event: 'packetData', listener: (data: Buffer) => void): this
    on(event: 'error', listener: (error: Error) => void): this
  }

  export function parse (input: EventEmitter): Parser
}
