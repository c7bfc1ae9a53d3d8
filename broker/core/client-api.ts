// Methods of a client for plug-ins: publish, subscribe, unsubscribe, disconnect.

import { brokerParts, partsOf } from './aedes-internals.js'
import type { Broker } from './broker.js'
import type { Link } from './link.js'
import { checkMessage, messageOf, type Message, type MessageSource } from './message.js'
import { subscribe, unsubscribe, type SubscribeRequest, type UnsubscribeRequest } from './subscribing.js'

type Done = (error?: Error | null) => void

const NO_BYTES = Buffer.alloc(0)

/** Replaces these methods of an Aedes client by ones that use its link. */
export function installClientApi(broker: Broker, link: Link): void {
  const parts = partsOf(link.client)
  parts.publish = (packet, done = () => {}) => {
    publishTo(broker, link, packet as MessageSource, done)
  }
  parts.subscribe = (packet, done = () => {}) => {
    const request =
      'subscriptions' in packet
        ? (packet as SubscribeRequest)
        : { subscriptions: [packet].flat() as SubscribeRequest['subscriptions'] }
    link.whenSession(() => {
      subscribe(broker, link, request).then(() => {
        done()
      }, done)
    })
  }
  parts.unsubscribe = (packet, done = () => {}) => {
    const { messageId, unsubscriptions } = unsubscribeRequest(packet)
    link.whenSession(() => {
      unsubscribe(broker, link, { messageId, unsubscriptions })
      setImmediate(done)
    })
  }
  parts.disconnect = (options = {}, done) => {
    if (typeof options === 'function') link.disconnect({}, options)
    else link.disconnect(options, done)
  }
  parts.emptyOutgoingQueue = (done = () => {}) => {
    const emptied = link.session?.queue.empty() ?? Promise.resolve()
    emptied.then(() => {
      done()
    }, done)
  }
}

function unsubscribeRequest(packet: object): UnsubscribeRequest {
  if ('unsubscriptions' in packet) return packet as UnsubscribeRequest
  const filters =
    'subscriptions' in packet
      ? (packet as SubscribeRequest).subscriptions
      : ([packet].flat() as (string | { topic: string })[])
  return { unsubscriptions: filters.map(filter => (typeof filter === 'string' ? filter : filter.topic)) }
}

/** Sends a message to one client only, after its CONNACK. */
function publishTo(broker: Broker, link: Link, packet: MessageSource, done: Done): void {
  let message: Message
  try {
    message = messageOf(packet)
    checkMessage(message)
  } catch (error) {
    setImmediate(done, error as Error)
    return
  }
  message.brokerId ||= broker.id
  message.brokerCounter ||= ++brokerParts(broker).counter
  link.whenOpen(
    () => {
      const { qos, retain } = message
      if (qos === 0) link.deliver(message, retain, NO_BYTES)
      else {
        const allowed = link.forward(message)
        if (allowed !== undefined) link.session?.queue.enqueue({ message, qos, retain, identifiers: NO_BYTES }, allowed)
      }
      setImmediate(done)
    },
    () => {
      setImmediate(done, new Error('connection closed'))
    }
  )
}
