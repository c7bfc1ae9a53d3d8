// Counts MQTT packets and bytes of all clients, in both directions.

/** Counts of one direction. */
export interface PacketCounts {
  /** Control packets of all types. */
  messages: number
  bytes: number
  /** PUBLISH packets, and the bytes of their payloads. */
  publishes: number
  publishBytes: number
}

/** Traffic counters. */
export class Traffic {
  readonly in: PacketCounts = { messages: 0, bytes: 0, publishes: 0, publishBytes: 0 }
  readonly out: PacketCounts = { messages: 0, bytes: 0, publishes: 0, publishBytes: 0 }
  /** Connections, and CONNECT packets on them. */
  sockets = 0
  connects = 0
}
