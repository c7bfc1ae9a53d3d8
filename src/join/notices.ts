// Says in the log why frames are not joined: once for each reason, and then rarely.

import type { Clock } from '../clock.js'
import type { Connection } from './flow-table.js'
import type { UnjoinedReason } from './live.js'

/** Between two lines about one reason, ms. */
const QUIET_MS = 600_000

const WHY: Record<UnjoinedReason, string> = {
  cipher: 'its TLS cipher gives records no fixed length (CBC, or TLS before 1.2); TLS 1.3 and AEAD ciphers are joined',
  'tls-websocket': 'it is a WebSocket within TLS, whose frames cannot be placed',
  carrier: 'what carries it is of an unknown kind, or bytes went by before it was watched',
  records: 'TLS records went by that the broker could not count, as when a client changes its keys',
  frames: 'its WebSocket frames are not understood, as compressed ones are not',
  backlog: 'too much waited to be placed in its stream',
  unseen:
    'the tap does not see it as the broker does: it taps another network, the kernel dropped frames, or addresses are translated on the way ' +
    "(NAT, a container's port mapping), where the tap must be inside the broker's own network namespace",
  mismatch: 'its frames were not what the broker read'
}

/** Gathers connections that are judged by their packets although there is a tap. */
export class JoinNotices {
  readonly #said = new Map<UnjoinedReason, { atMs: number; since: number }>()
  readonly #log: (message: string, details: object) => void
  readonly #clock: Clock

  constructor(log: (message: string, details: object) => void, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  /** One more of them. */
  add(reason: UnjoinedReason, { peer, join }: Connection): void {
    const now = this.#clock.now()
    const said = this.#said.get(reason)
    if (said !== undefined && now - said.atMs < QUIET_MS) {
      said.since++
      return
    }
    this.#said.set(reason, { atMs: now, since: 0 })
    this.#log(`a connection is judged by its packets, without the fields of the wire: ${WHY[reason]}`, {
      reason,
      transport: join === 'exact' ? 'tcp' : join,
      client: `${peer.client.address} ${peer.client.port}`,
      broker: `${peer.broker.address} ${peer.broker.port}`,
      ...(said !== undefined && said.since > 0 && { othersSince: said.since })
    })
  }
}
