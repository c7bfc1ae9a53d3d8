// Delivery to one client: nobody is held up by a client that does not read.

import type { AedesPublishPacket, Client } from 'aedes'
import { aged, dated } from './outgoing-message.js'
import { OutgoingWindow, type Begin, type WindowOptions } from './outgoing-window.js'

/** The parts of a client that Aedes does not declare. */
interface ClientInternals {
  deliver0: Deliver
  deliverQoS: Deliver
  /** The counter of the last message of each broker that went to the client. */
  duplicates: Record<string, number | undefined>
}

type Deliver = (packet: AedesPublishPacket, done: () => void) => void

/** What a client may leave unread before it is disconnected, and whom to tell. */
export interface DeliveryOptions extends WindowOptions {
  /** Bytes. */
  unreadBytes: number
  onUnread: (client: Client) => void
  /** Whether a message of QoS 1 or 2 was dropped for a client because too many wait already. */
  wasDropped: (client: Client, packet: AedesPublishPacket) => boolean
  /** Counts a message that is to wait; gives what takes it out of the count, undefined where too many wait already. */
  hold: (client: Client, packet: AedesPublishPacket) => (() => void) | undefined
  /** Removes a message of QoS 1 or 2 from where it waits: its time is over. */
  discard: (client: Client, packet: AedesPublishPacket) => void
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
  const window = new OutgoingWindow(client, options)
  let current: AedesPublishPacket | undefined
  let unread = 0

  const begin = (deliver: Deliver, packet: AedesPublishPacket, done: () => void): void => {
    const living = aged(packet)
    if (living === undefined) {
      options.discard(client, packet)
      setImmediate(done)
      return
    }
    current = living
    deliver(living, done)
    current = undefined
  }

  const wrap = (deliver: Deliver, isWindowed: boolean): Deliver => (packet, done) => {
    // The very same packet again is on its way from one form of delivery to the other.
    if (packet === current) {
      deliver(packet, done)
      return
    }
    // Retained messages come at the pace of the client; they have no broker.
    const isRetained = !packet.brokerId
    let start: Begin = written => {
      begin(deliver, packet, () => {
        written()
        done()
      })
    }
    if (!isRetained) {
      setImmediate(done)
      if (isBehind(client, unread, options) || (packet.qos > 0 && options.wasDropped(client, packet))) return
      start = written => {
        unread++
        begin(deliver, packet, () => {
          unread--
          written()
        })
      }
    }
    if (!isWindowed || packet.qos === 0) start(() => {})
    else if (window.isOpen) window.begin(start)
    else wait(packet, start, isRetained ? done : undefined)
  }

  const wait = (packet: AedesPublishPacket, start: Begin, onDropped?: () => void): void => {
    const isNew = onDropped !== undefined || isFirst(client, packet)
    const release = isNew ? options.hold(client, packet) : undefined
    if (release === undefined) {
      if (onDropped !== undefined) setImmediate(onDropped)
      return
    }
    if (onDropped !== undefined) dated(packet)
    const { brokerId = '', brokerCounter = 0 } = packet
    window.wait(packet, onDropped !== undefined ? start : written => {
      // Those that did not wait, of QoS 0, have gone before it: Aedes would take it for a copy.
      const { duplicates } = internals
      const last = duplicates[brokerId]
      duplicates[brokerId] = brokerCounter - 1
      start(written)
      duplicates[brokerId] = last
    }, release)
  }

  internals.deliver0 = wrap(internals.deliver0, false)
  internals.deliverQoS = wrap(internals.deliverQoS, true)
}

/** Whether a message comes for the first time, and not through a further subscription; nor from the client itself, where it does not want that. */
function isFirst (client: Client, { brokerId = '', brokerCounter = 0, ...packet }: AedesPublishPacket): boolean {
  const { nl, clientId } = packet as { nl?: boolean, clientId?: string }
  // [MQTT-3.8.3-3]
  if (nl === true && clientId === client.id) return false
  const { duplicates } = client as unknown as ClientInternals
  if ((duplicates[brokerId] ?? 0) >= brokerCounter) return false
  duplicates[brokerId] = brokerCounter
  return true
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
