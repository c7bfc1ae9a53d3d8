// Logs why frames are not joined, with a rate limit per reason.

import type { Clock } from '../clock.js'
import type { Connection } from './connection.js'
import type { UnjoinedReason } from './live.js'

/** Minimum time between two log lines for the same reason, ms. */
const QUIET_MS = 600_000

const EXPLANATIONS: Record<UnjoinedReason, string> = {
  cipher:
    'its TLS cipher has no fixed record overhead (CBC, or TLS before 1.2). Use TLS 1.3 or an AEAD cipher with TLS 1.2',
  'tls-websocket': 'WebSocket over TLS is not supported by the join',
  carrier: 'its transport is unknown, or data was transferred before the broker started to observe it',
  records: 'the broker could not count all TLS records, for example after a key update by the client',
  frames: 'its WebSocket frames cannot be parsed, for example because they are compressed',
  backlog: 'too many packets were waiting for their stream offset',
  unseen:
    'the tap does not capture its frames: it captures on another network, the kernel dropped frames, or addresses are translated ' +
    "(NAT, a container's port mapping). With address translation, run the tap inside the broker's network namespace",
  mismatch: 'its frames do not match the bytes that the broker read'
}

/** Logs connections that fall back to packets although there is a tap. */
export class JoinNotices {
  readonly #logged = new Map<UnjoinedReason, { atMs: number; since: number }>()
  readonly #log: (message: string, details: object) => void
  readonly #clock: Clock

  constructor(log: (message: string, details: object) => void, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  /** Adds a connection. */
  add(reason: UnjoinedReason, { peer, join }: Connection): void {
    const now = this.#clock.now()
    const previous = this.#logged.get(reason)
    if (previous !== undefined && now - previous.atMs < QUIET_MS) {
      previous.since++
      return
    }
    this.#logged.set(reason, { atMs: now, since: 0 })
    this.#log(`connection is scored packet by packet, without wire features: ${EXPLANATIONS[reason]}`, {
      reason,
      transport: join === 'exact' ? 'tcp' : join,
      client: `${peer.client.address} ${peer.client.port}`,
      broker: `${peer.broker.address} ${peer.broker.port}`,
      ...(previous !== undefined && previous.since > 0 && { othersSince: previous.since })
    })
  }
}
