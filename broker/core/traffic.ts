// Counts the packets and bytes of MQTT that go by, in both directions, of all clients.

/** What went one way. */
export interface Counted {
  /** Control packets of all types. */
  messages: number
  bytes: number
  /** PUBLISH alone, and the payloads of these. */
  publishes: number
  publishBytes: number
}

/** The counters. */
export class Traffic {
  readonly in: Counted = { messages: 0, bytes: 0, publishes: 0, publishBytes: 0 }
  readonly out: Counted = { messages: 0, bytes: 0, publishes: 0, publishBytes: 0 }
  /** Connections, and CONNECTs on them. */
  sockets = 0
  connects = 0
}
