// aedes-persistence-level on top of the store: its records of retained messages, wills and subscriptions go into the
// batch of the turn.

import levelPersistence from 'aedes-persistence-level'
import type { Level } from 'level'
import type { MessageSource, QoS } from './message.js'
import type { RetainedStore } from './retained.js'
import type { SubscriptionStore } from './sessions.js'
import type { KeyRange, Store } from './store.js'
import type { Subscription } from './subscription.js'

/**
 * A will as it is stored: whose it is, the id of the broker that the client was connected to, and how long it waits,
 * seconds.
 */
export type StoredWill = MessageSource & { clientId: string; brokerId: string; delayS?: number }

/** Where wills lie while their clients are connected. */
export interface WillStore {
  put(clientId: string, will: MessageSource & { delayS: number }): void
  remove(clientId: string): void
  /** Those of earlier runs. */
  left(): AsyncIterable<StoredWill>
}

/** What is kept of retained messages, wills and subscriptions. */
export interface Persistence {
  retained: RetainedStore
  wills: WillStore
  subscriptions: SubscriptionStore
  /** Queues in the form in which Aedes kept them, in order: for those of earlier versions. */
  queued: (clientId: string) => AsyncIterable<MessageSource & { cmd: string }>
}

/** A subscription as aedes-persistence-level keeps it; msgpack gives `undefined` back as null. */
export interface StoredSubscription {
  topic: string
  qos: QoS
  nl?: boolean | null
  rap?: boolean | null
  rh?: number | null
  subscriptionIdentifier?: number | null
}

/** What we use of aedes-persistence-level, which comes without types. */
interface LevelPersistence extends RetainedStore {
  setup(broker: { id: string }): Promise<void>
  /** Wills of brokers whose id is no key of `brokers`. */
  streamWill(brokers: Readonly<Record<string, true>>): AsyncIterable<StoredWill>
  putWill(client: { id: string }, packet: object): Promise<unknown>
  addSubscriptions(client: { id: string }, subscriptions: readonly StoredSubscription[]): Promise<unknown>
  removeSubscriptions(client: { id: string }, filters: readonly string[]): Promise<unknown>
  subscriptionsByClient(client: { id: string }): Promise<StoredSubscription[]>
  outgoingStream(client: { id: string }): AsyncIterable<MessageSource & { cmd: string }>
}

/** As aedes-persistence-level names its keys. */
const SUBSCRIPTIONS = 'subscriptions:'
const WILLS = 'will:'
const REFUSED = 0x80

/**
 * @param brokerId of this run: a will that another run has left is known by it
 */
export async function openPersistence(store: Store, brokerId: string): Promise<Persistence> {
  const level = levelPersistence(asDatabase(store)) as LevelPersistence
  await level.setup({ id: brokerId })
  return {
    retained: level,
    wills: {
      put: (clientId, will) => {
        void level.putWill({ id: clientId }, { ...will })
      },
      // Not by its own method, which reads first: a will that is put meanwhile would be removed.
      remove: clientId => {
        store.del(WILLS + encodeURIComponent(clientId))
      },
      left: () => level.streamWill({ [brokerId]: true })
    },
    subscriptions: {
      add: (clientId, subscriptions) => {
        void level.addSubscriptions({ id: clientId }, subscriptions.map(storedForm))
      },
      remove: (clientId, filters) => {
        if (filters.length > 0) void level.removeSubscriptions({ id: clientId }, filters)
      },
      of: async clientId => {
        const stored = await level.subscriptionsByClient({ id: clientId })
        return stored.filter(({ qos }) => qos < REFUSED).map(subscriptionOf)
      },
      clients: () => clientsWithSubscriptions(store)
    },
    queued: clientId => level.outgoingStream({ id: clientId })
  }
}

async function* clientsWithSubscriptions(store: Store): AsyncGenerator<string> {
  for await (const key of store.keys({ gte: SUBSCRIPTIONS, lt: 'subscriptions;' })) {
    yield decodeURIComponent(key.slice(SUBSCRIPTIONS.length, key.indexOf(':', SUBSCRIPTIONS.length)))
  }
}

function storedForm({
  filter,
  qos,
  noLocal,
  retainAsPublished,
  retainHandling,
  identifier
}: Subscription): StoredSubscription {
  return {
    topic: filter,
    qos,
    nl: noLocal,
    rap: retainAsPublished,
    rh: retainHandling,
    ...(identifier !== undefined && { subscriptionIdentifier: identifier })
  }
}

function subscriptionOf({ topic, qos, nl, rap, rh, subscriptionIdentifier }: StoredSubscription): Subscription {
  return {
    filter: topic,
    qos,
    noLocal: nl === true,
    retainAsPublished: rap === true,
    retainHandling: rh ?? 0,
    identifier: subscriptionIdentifier ?? undefined
  }
}

type Operation = { type: 'put'; key: string; value: Buffer } | { type: 'del'; key: string }

/** The part of a database that aedes-persistence-level calls. */
function asDatabase(store: Store): Level {
  const apply = (operation: Operation): void => {
    if (operation.type === 'put') store.put(operation.key, operation.value)
    else store.del(operation.key)
  }
  const database = {
    get: (key: string) => store.get(key),
    put: async (key: string, value: Buffer) => {
      store.put(key, value)
    },
    del: async (key: string) => {
      store.del(key)
    },
    batch: async (operations: readonly Operation[]) => {
      for (const operation of operations) apply(operation)
    },
    values: async function* (range: KeyRange) {
      for await (const [, value] of store.entries(range)) yield value
    }
  }
  return database as unknown as Level
}
