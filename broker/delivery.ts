// Delivery to one client: nobody is held up by a client that does not read.

import type { AedesPublishPacket, Client } from 'aedes'

/** The parts of a client that Aedes does not declare. */
interface ClientInternals {
  deliver0: Deliver
  deliverQoS: Deliver
}

type Deliver = (packet: AedesPublishPacket, done: () => void) => void

/** What a client may leave unread before it is disconnected, and whom to tell. */
export interface DeliveryOptions {
  /** Bytes. */
  unreadBytes: number
  onUnread: (client: Client) => void
  /** Whether a message of QoS 1 or 2 was dropped for a client because too many wait already. */
  wasDropped: (client: Client, packet: AedesPublishPacket) => boolean
}

/** Messages that may wait for a client to read them, however small. */
const MAX_UNREAD_MESSAGES = 20_000

/**
 * Lets no publisher wait until a client has read: in Aedes one that reads nothing holds up all the others
 * for a minute. It is disconnected when too much waits for it; a session that lasts gets its messages of
 * QoS 1 and 2 when it comes back.
 */
export function deliverToReaders (client: Client, options: DeliveryOptions): void {
  const internals = client as unknown as ClientInternals
  let current: AedesPublishPacket | undefined
  let unread = 0

  const wrap = (deliver: Deliver): Deliver => (packet, done) => {
    // Retained messages come at the pace of the client; they have no broker. And the very same packet again
    // is on its way from one form of delivery to the other.
    if (!packet.brokerId || packet === current) {
      deliver(packet, done)
      return
    }
    setImmediate(done)
    if (isBehind(client, unread, options) || (packet.qos > 0 && options.wasDropped(client, packet))) return
    unread++
    current = packet
    deliver(packet, () => { unread-- })
    current = undefined
  }

  internals.deliver0 = wrap(internals.deliver0)
  internals.deliverQoS = wrap(internals.deliverQoS)
}

/** Whether too much waits for a client; then it is disconnected. */
function isBehind (client: Client, unread: number, { unreadBytes, onUnread }: DeliveryOptions): boolean {
  const { conn } = client
  if (conn.writableLength <= unreadBytes && unread <= MAX_UNREAD_MESSAGES) return false
  if (conn.destroyed) return true
  onUnread(client)
  conn.destroy(new Error(`${unread} messages (${conn.writableLength} bytes) wait for the client to read them`))
  return true
}
