// PUBLISH from one client: reads, authorises and publishes it, and acknowledges it once the changes are stored.

import { PacketType } from '../../src/decode/packet-types.js'
import { levelsOf } from '../../src/topics.js'
import { ProtocolFault } from '../protocol/fault.js'
import { brokerParts, partsOf, type ClientParts } from './aedes-internals.js'
import type { Broker } from './broker.js'
import { PublishDenied } from './publish-denied.js'
import type { Packet } from './framer.js'
import type { Link, LinkOptions } from './link.js'
import { InvalidMessage, type Message, type NamedProperties } from './message.js'
import { readPublish } from './wire.js'

const MQTT_5 = 5
const NOT_AUTHORIZED = 0x87
const RECEIVE_MAXIMUM_EXCEEDED = 0x93
const TOPIC_ALIAS_INVALID = 0x94

/** QoS and packet identifier as sent by the client, for the acknowledgement. */
type Original = Required<Pick<Message, 'qos'>> & { messageId: number }

/** Handles the messages of one client, one at a time [MQTT-4.6.0-6]. */
export class Publishing {
  readonly #parts: ClientParts
  readonly #broker: Broker
  readonly #link: Link
  readonly #options: LinkOptions

  constructor(broker: Broker, link: Link, options: LinkOptions) {
    this.#broker = broker
    this.#link = link
    this.#options = options
    this.#parts = partsOf(link.client)
  }

  /** Handles a PUBLISH; the next packet waits until `link.resume()` is called. */
  handle({ header, bytes, from, to }: Packet): void {
    const link = this.#link
    const broker = this.#broker
    const read = readPublish(bytes, header, from, to, link.version)
    if (read instanceof ProtocolFault) {
      link.refuse(read)
      return
    }
    const { message, alias } = read
    const { traffic } = broker
    traffic.in.publishes++
    traffic.in.publishBytes += message.payload.length
    if (alias !== 0 && !this.#resolveAlias(message, alias)) return
    if (levelsOf(message.topic) > brokerParts(broker).maxTopicLevels) link.fail(new Error('topic has too many levels'))
    else if (message.qos === 2 && !this.#isNew(message)) return
    else this.#authorise(message)
  }

  /** Whether a QoS 2 message is not a repetition, and within the limit of unreleased messages. */
  #isNew({ messageId = 0 }: Message): boolean {
    const { session } = this.#link
    if (session?.received.has(messageId) === true) {
      this.#link.acknowledge(PacketType.PUBREC, messageId, this.#broker.store.latest)
      return false
    }
    if ((session?.received.size ?? 0) < this.#options.unreleasedMessages) return true
    this.#options.onLimit('inflightMessages', this.#link.client)
    this.#link.disconnect({ reasonCode: RECEIVE_MAXIMUM_EXCEEDED })
    return false
  }

  #authorise(message: Message): void {
    const link = this.#link
    const broker = this.#broker
    message.clientId = this.#parts.id
    link.isBusy = true
    // A hook may change these fields.
    const { qos, messageId = 0 } = message
    const original = { qos, messageId }
    const properties = message.properties && {
      ...message.properties,
      userProperties: JSON.stringify(message.properties.userProperties)
    }
    broker.authorizePublish(link.client, message, error => {
      if (link.isClosed) return
      if (error) this.#deny(message, original, error)
      else {
        if (haveChanged(properties, message.properties)) message.encode()
        this.#publish(message, original)
      }
    })
  }

  #publish(message: Message, original: Original): void {
    const broker = this.#broker
    const link = this.#link
    const { backpressure } = this.#options
    const { qos, messageId } = original
    const { changes } = broker.store
    const { queuedCount } = backpressure
    // In one batch with all other changes of this message [MQTT-4.3.3-10].
    if (qos === 2) link.session?.addReceived(messageId)
    broker.publish(message, link.client, error => {
      if (error instanceof InvalidMessage) {
        // A hook made the message invalid: keep the client connected.
        if (link.version !== MQTT_5) broker.emit('clientError', link.client, error)
        this.#deny(message, original, new PublishDenied(error.message))
        return
      }
      if (error) link.fail(error)
      else if (qos > 0)
        link.acknowledge(
          qos === 1 ? PacketType.PUBACK : PacketType.PUBREC,
          messageId,
          broker.store.changes === changes ? 0 : broker.store.latest
        )
      if (backpressure.queuedCount !== queuedCount) link.countQueued()
      link.resume()
    })
  }

  #deny({ topic }: Message, { qos, messageId }: Original, error: Error): void {
    const link = this.#link
    const broker = this.#broker
    const isMqtt5 = link.version === MQTT_5
    if (!isMqtt5 && !(error instanceof PublishDenied)) {
      link.fail(error)
      return
    }
    this.#options.onDenied('deniedPublish', link.client, topic)
    if (isMqtt5) broker.emit('clientError', link.client, error)
    if (qos > 0)
      link.acknowledge(
        qos === 1 ? PacketType.PUBACK : PacketType.PUBREC,
        messageId,
        0,
        isMqtt5 ? NOT_AUTHORIZED : 0,
        error.message
      )
    link.resume()
  }

  #resolveAlias(message: Message, alias: number): boolean {
    const link = this.#link
    const broker = this.#broker
    const { _topicAliases: aliases } = this.#parts
    const topic = message.topic === '' ? aliases.get(alias) : message.topic
    if (topic === undefined || alias > brokerParts(broker).topicAliasMaximum) {
      broker.emit('clientError', link.client, new Error(`topic alias ${alias} is out of range or unknown`))
      link.disconnect({ reasonCode: TOPIC_ALIAS_INVALID })
      return false
    }
    aliases.set(alias, topic)
    message.topic = topic
    if (message.properties !== undefined) Reflect.deleteProperty(message.properties, 'topicAlias')
    return true
  }
}

/** Whether a hook has changed properties; `before` has its user properties as JSON. */
function haveChanged(before: NamedProperties | undefined, after: NamedProperties | undefined): boolean {
  if (before === undefined || after === undefined) return before !== after
  const { userProperties, ...others } = after
  const names = Object.keys(others)
  return (
    JSON.stringify(userProperties) !== before.userProperties ||
    names.length !== Object.keys(before).length - 1 ||
    names.some(name => before[name] !== others[name])
  )
}
