// Types for the part of pcap-parser that the tests use; the package has none.

declare module 'pcap-parser' {
  import type { EventEmitter } from 'node:events'
  import type { Readable } from 'node:stream'

  export interface PcapPacket {
    header: { timestampSeconds: number; timestampMicroseconds: number; capturedLength: number; originalLength: number }
    data: Buffer
  }

  export function parse(source: Readable | string): EventEmitter<{ packet: [PcapPacket]; end: []; error: [Error] }>
}
