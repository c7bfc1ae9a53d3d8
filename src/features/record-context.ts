// The context of a record: columns and references to earlier records.

import type { PayloadSample } from './payload-sample.js'

/** Data of a record beyond its 31 features. */
export interface RecordContext {
  /** One value for each of `CONTEXT_COLUMNS`; NaN if missing. */
  values: Float64Array
  /** Application payloads: views of the packets' bytes. */
  payloads: readonly PayloadSample[] | null
  /** Number of the record in its source, from 0. */
  record: number
  /**
   * Numbers of earlier records whose messages this record acknowledges, if it does nothing else. It scores at least the
   * lowest of their scores.
   */
  references: readonly number[]
  /**
   * Numbers of earlier records whose message this record forwards to a client, whose bytes it acknowledges without a
   * packet, or which it retransmits. It scores at least the highest of their scores.
   */
  origins: readonly number[]
  /**
   * Number of the CONNECT from another address that took over the client's session; null if there is none. Set at the
   * end of the connection and at the start of the client's reconnect. The record scores at least as high as that
   * CONNECT, but the messages that it publishes do not.
   */
  takeover: number | null
}
