// Closes holes in Aedes that any client could fall through: names that ordinary objects already have.

import type { Aedes, Client, Subscription } from 'aedes'
import { deliverToReaders, type DeliveryOptions } from './delivery.js'
import { windowOf } from './outgoing-window.js'

/** The parts of a client that Aedes does not declare. */
interface ClientInternals {
  subscriptions: object
  duplicates: object
  _parser: { prependListener (event: 'packet', listener: (packet: ParsedPacket) => void): void }
}

interface ParsedPacket {
  cmd: string
  subscriptions?: Subscription[]
}

/**
 * Makes client ids and topics named `constructor`, `__proto__` and the like names like any other. Aedes
 * 2.0.0-beta.1 keeps clients, brokers and subscriptions in ordinary objects, which have these already
 * (fixed in Aedes 1.2.0, GHSA-52qw-whmv-87c5). To be called before the broker listens.
 */
export function harden (aedes: Aedes, delivery: DeliveryOptions): void {
  Object.assign(aedes, { clients: bare(), brokers: bare() })
  const handle = aedes.handle
  aedes.handle = (connection, request) => hardenClient(handle(connection, request), delivery)
  aedes.on('clientReady', client => { windowOf(client)?.drained() })
}

function hardenClient (client: Client, delivery: DeliveryOptions): Client {
  deliverToReaders(client, delivery)
  const internals = client as unknown as ClientInternals
  internals.subscriptions = bare()
  internals.duplicates = bare()
  internals._parser.prependListener('packet', packet => {
    const { cmd, subscriptions } = packet
    if (cmd === 'subscribe' && subscriptions !== undefined && subscriptions.length > 1) {
      packet.subscriptions = inTheirOrder(subscriptions)
    }
  })
  return client
}

function bare (): object {
  return Object.create(null) as object
}

/**
 * The filters of one SUBSCRIBE, so packed that Aedes finds all of them, in their order. It collects them as
 * properties of an ordinary object, named by topic, and goes over these. There numbers come first, so that
 * the grants stand in the wrong order [MQTT-3.9.3-1]; and assigning to `__proto__` sets the prototype, whose
 * properties (topic, qos, ...) are then taken for filters, at which a client of MQTT 5 brings the broker
 * down. The same is used here to hand the filters over: as the properties of a prototype.
 */
function inTheirOrder (subscriptions: readonly Subscription[]): Subscription[] {
  const carrier = Object.defineProperties({} as Subscription, {
    topic: { value: '__proto__' },
    // Aedes sets it on each filter of the packet [MQTT-3.8.2.1.2].
    subscriptionIdentifier: {
      set (subscriptionIdentifier: number) {
        for (const subscription of subscriptions) Object.assign(subscription, { subscriptionIdentifier })
      }
    }
  })
  for (const [index, subscription] of subscriptions.entries()) {
    Object.defineProperty(carrier, `filter ${index}`, { value: subscription, enumerable: true })
  }
  // Twice, since a single one is not collected.
  return [carrier, carrier]
}
