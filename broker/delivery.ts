// Delivery to one client: each message once, none lost, and nobody held up by a client that does not read.

import type { AedesPublishPacket, Client } from 'aedes'

/** The parts of a client that Aedes does not declare. */
interface ClientInternals {
  duplicates: Record<string, number>
  deliver0: Deliver
  deliverQoS: Deliver
}

type Deliver = (packet: AedesPublishPacket, done: () => void) => void

/** Bytes that may wait for a client to read them; one that lets more come together is disconnected. */
const MAX_UNREAD_BYTES = 16 * 2 ** 20
/** Messages that may, however small. */
const MAX_UNREAD_MESSAGES = 20_000

/**
 * Changes how messages are handed to a client, in two ways.
 *
 * Each message comes once, though it may match several subscriptions. Aedes takes for a repetition whatever
 * has a lower number than the last one delivered; but a message gets its number when it arrives, and one that
 * has to be stored first (QoS 1 or 2, or retained) is overtaken by those that need not, and so was lost.
 *
 * And a publisher does not wait until every reader has read: in Aedes one client that reads nothing holds up
 * all the others for a minute. Such a client is disconnected when too much waits for it; a session that lasts
 * gets its messages of QoS 1 and 2 when it comes back.
 */
export function deliverToReaders (client: Client): void {
  const internals = client as unknown as ClientInternals
  internals.duplicates = Object.create(null) as Record<string, number>
  let last: Partial<AedesPublishPacket> = {}
  let unread = 0

  const wrap = (deliver: Deliver): Deliver => (packet, done) => {
    const { brokerId, brokerCounter } = packet
    // Retained messages have no broker; they come at the pace of the client. The very same packet again is
    // on its way from one form of delivery to the other.
    if (!brokerId || packet === last) {
      deliver(packet, done)
      return
    }
    setImmediate(done)
    if (isBehind(client, unread)) return
    // All copies of a message come in one go.
    const isCopy = brokerId === last.brokerId && brokerCounter === last.brokerCounter
    last = packet
    // Aedes delivers what is above this number.
    internals.duplicates[brokerId] = isCopy ? brokerCounter : brokerCounter - 1
    unread++
    deliver(packet, () => { unread-- })
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
