// Closes holes in Aedes that any client could fall through: names that ordinary objects already have.

import type { Aedes, Client } from 'aedes'

/** The parts of a client that Aedes does not declare. */
interface ClientInternals {
  subscriptions: object
  duplicates: object
  _parser: { prependListener (event: 'packet', listener: (packet: ParsedPacket) => void): void }
}

interface ParsedPacket {
  cmd: string
  subscriptions?: ParsedSubscription[]
}

interface ParsedSubscription {
  topic: string
  subscriptionIdentifier?: number
}

/**
 * Makes client ids and topics named `constructor`, `__proto__` and the like names like any other. Aedes
 * 2.0.0-beta.1 keeps clients, brokers and subscriptions in ordinary objects, which have these already
 * (fixed in Aedes 1.2.0, GHSA-52qw-whmv-87c5). To be called before the broker listens.
 */
export function harden (aedes: Aedes): void {
  Object.assign(aedes, { clients: bare(), brokers: bare() })
  const handle = aedes.handle
  aedes.handle = (connection, request) => hardenClient(handle(connection, request))
}

function hardenClient (client: Client): Client {
  const internals = client as unknown as ClientInternals
  internals.subscriptions = bare()
  internals.duplicates = bare()
  internals._parser.prependListener('packet', ({ cmd, subscriptions }) => {
    if (cmd === 'subscribe' && subscriptions !== undefined && subscriptions.length > 1) carryProto(subscriptions)
  })
  return client
}

function bare (): object {
  return Object.create(null) as object
}

/**
 * Aedes collects the filters of one SUBSCRIBE as properties of an ordinary object and then goes over
 * these. There, assigning to `__proto__` sets the prototype, whose properties (topic, qos, ...) would be
 * taken for filters, and a client of MQTT 5 would bring the broker down. So the filter of that name is
 * handed over in a prototype whose one enumerable property is `__proto__`: the subscription itself.
 */
function carryProto (subscriptions: ParsedSubscription[]): void {
  for (const [index, subscription] of subscriptions.entries()) {
    if (subscription.topic !== '__proto__') continue
    subscriptions[index] = Object.defineProperties({} as ParsedSubscription, {
      topic: { value: '__proto__' },
      // Aedes sets it on all filters of the packet [MQTT-3.8.2.1.2].
      subscriptionIdentifier: { set (identifier: number) { subscription.subscriptionIdentifier = identifier } },
      ['__proto__']: { value: subscription, enumerable: true }
    })
  }
}
