// Delivery to one client: nobody is held up by a client that does not read.

import type { AedesPublishPacket, Client } from 'aedes'

/** The parts of a client that Aedes does not declare. */
interface ClientInternals {
  deliver0: Deliver
  deliverQoS: Deliver
}

type Deliver = (packet: AedesPublishPacket, done: () => void) => void

/** Bytes that may wait for a client to read them; one that lets more come together is disconnected. */
const MAX_UNREAD_BYTES = 16 * 2 ** 20
/** Messages that may, however small. */
const MAX_UNREAD_MESSAGES = 20_000

/**
 * Lets no publisher wait until a client has read: in Aedes one that reads nothing holds up all the others
 * for a minute. It is disconnected when too much waits for it; a session that lasts gets its messages of
 * QoS 1 and 2 when it comes back.
 */
export function deliverToReaders (client: Client): void {
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
    if (isBehind(client, unread)) return
    unread++
    current = packet
    deliver(packet, () => { unread-- })
    current = undefined
  }

  internals.deliver0 = wrap(internals.deliver0)
  internals.deliverQoS = wrap(internals.deliverQoS)
}

/** Whether too much waits for a client; then it is disconnected. */
function isBehind ({ conn }: Client, unread: number): boolean {
  if (conn.writableLength <= MAX_UNREAD_BYTES && unread <= MAX_UNREAD_MESSAGES) return false
  if (!conn.destroyed) conn.destroy(new Error(`${unread} messages (${conn.writableLength} bytes) wait for the client to read them`))
  return true
}
