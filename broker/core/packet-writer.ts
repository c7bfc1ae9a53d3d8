// Writes packets to one client, within its Maximum Packet Size.

import mqttPacket from 'mqtt-packet'
import { PacketType } from '../../src/decode/packet-types.js'
import type { ClientParts } from './aedes-internals.js'
import { encodeConnack, isAccepted, type Connack } from './connack.js'
import { Output } from './output.js'
import { ReplyQueue } from './reply-queue.js'
import type { Store } from './store.js'
import type { PacketCounts } from './traffic.js'
import { acknowledgement, publishBytes, type Delivery } from './wire.js'

/** Limits and callbacks of a writer. */
export interface WriterOptions {
  /** Maximum number of bytes that the client may leave unread. */
  unreadBytes: number
  /** The client has left more bytes unread. */
  onUnread: (bytes: number) => void
  /** A SUBACK or UNSUBACK exceeds the client's Maximum Packet Size. */
  onTooLarge: () => void
  /** Replies have been sent, so that more packets may be read. */
  onReplied: () => void
}

const MQTT_5 = 5
const PINGRESP = Buffer.from([PacketType.PINGRESP << 4, 0])
/** Maximum number of replies that wait for the store; above it, the client's packets are not read. */
const MAX_REPLIES = 1_000

/** Writes packets of all types; acknowledgements in packet order. */
export class PacketWriter {
  /** Protocol level: 3, 4 or 5. */
  version = 4
  /** Maximum Packet Size of the client, bytes. */
  maximumPacketSize = Infinity
  readonly #parts: ClientParts
  readonly #output: Output
  readonly #options: WriterOptions
  /** PUBACK, PUBREC, PUBREL and PUBCOMP. */
  readonly #acknowledgements: ReplyQueue
  /** SUBACK and UNSUBACK. */
  readonly #subscriptionReplies: ReplyQueue

  constructor(parts: ClientParts, store: Store, counts: PacketCounts, options: WriterOptions) {
    this.#parts = parts
    this.#output = new Output(parts.conn, counts)
    this.#options = options
    this.#acknowledgements = new ReplyQueue(store, options.onReplied)
    this.#subscriptionReplies = new ReplyQueue(store, options.onReplied)
  }

  /** Whether the client reads too slowly to send it more retained or shared messages. */
  get isFull(): boolean {
    return this.#output.isFull
  }

  /** Whether too many replies wait for the store. */
  get isReplyQueueFull(): boolean {
    return this.#acknowledgements.length >= MAX_REPLIES || this.#subscriptionReplies.length >= MAX_REPLIES
  }

  /** Sends a PUBLISH; returns false if it exceeds the client's Maximum Packet Size [MQTT-3.1.2-24]. */
  publish(delivery: Delivery): boolean {
    if (this.maximumPacketSize !== Infinity && publishBytes(delivery, this.version) > this.maximumPacketSize)
      return false
    if (this.#output.unread > this.#options.unreadBytes) this.#options.onUnread(this.#output.unread)
    else this.#output.publish(delivery, this.version)
    return true
  }

  /**
   * Sends a PUBACK, PUBREC, PUBREL or PUBCOMP in order.
   *
   * @param batch the batch that must be stored first; 0: none
   */
  acknowledge(type: number, packetId: number, batch: number, reasonCode: number, reason: string): void {
    const wantsReason = this.#parts._requestProblemInformation !== false
    let packet = acknowledgement(type, packetId, this.version, reasonCode, wantsReason ? reason : '')
    if (packet.length > this.maximumPacketSize) packet = acknowledgement(type, packetId, this.version, reasonCode)
    this.#acknowledgements.add(batch, () => {
      this.#output.write(packet)
    })
  }

  /**
   * Sends a SUBACK or UNSUBACK in order.
   *
   * @param messageId undefined: only calls `then`, in order
   * @param batch the batch that must be stored first; 0: none
   * @param then called after it is sent
   */
  replyToSubscription(
    packet: { cmd: 'suback' | 'unsuback'; granted: number[] },
    messageId: number | undefined,
    batch: number,
    then: () => void
  ): void {
    this.#subscriptionReplies.add(batch, () => {
      if (messageId !== undefined) {
        const bytes = mqttPacket.generate(
          { ...packet, messageId },
          { protocolVersion: this.version === MQTT_5 ? 5 : 4 }
        )
        if (bytes.length > this.maximumPacketSize) {
          this.#options.onTooLarge()
          return
        }
        this.#output.write(bytes)
      }
      then()
    })
  }

  /** Sends a CONNACK; returns false if it exceeds the client's Maximum Packet Size. */
  connack(connack: Connack): boolean {
    const packet = encodeConnack(connack, this.version, this.maximumPacketSize)
    if (packet === undefined) return false
    this.#output.write(packet)
    if (!isAccepted(connack)) this.#output.flush()
    return true
  }

  pingresp(): void {
    this.#output.write(PINGRESP)
  }

  /** Sends a DISCONNECT to an MQTT 5 client. */
  disconnect(reasonCode: number, properties: object | undefined): void {
    this.#output.write(
      mqttPacket.generate(
        { cmd: 'disconnect', reasonCode, ...(properties !== undefined && { properties }) },
        { protocolVersion: 5 }
      )
    )
  }

  /** Writes the collected packets at once. */
  flush(): void {
    this.#output.flush()
  }

  /** Drops all replies that are not sent yet. */
  close(): void {
    this.#acknowledgements.close()
    this.#subscriptionReplies.close()
  }
}
