// aedes-persistence-level on top of the store: it writes retained messages, wills and subscriptions to the batch of the
// turn.

import levelPersistence from 'aedes-persistence-level'
import type { Level } from 'level'
import type { MessageSource, QoS } from './message.js'
import type { RetainedStore } from './retained.js'
import type { SubscriptionStore } from './sessions.js'
import type { KeyRange, Store } from './store.js'
import type { Subscription } from './subscription.js'

/** A stored will: its client, the id of the broker that the client was connected to, and its delay, seconds. */
export type StoredWill = MessageSource & { clientId: string; brokerId: string; delayS?: number }

/** Stores wills while their clients are connected. */
export interface WillStore {
  put(clientId: string, will: MessageSource & { delayS: number }): void
  remove(clientId: string): void
  /** Wills of earlier runs. */
  leftover(): AsyncIterable<StoredWill>
}

/** Storage of retained messages, wills and subscriptions. */
export interface Persistence {
  retained: RetainedStore
  wills: WillStore
  subscriptions: SubscriptionStore
  /** The queue of a client in Aedes' own format, in order, as earlier versions stored it. */
  queued: (clientId: string) => AsyncIterable<MessageSource & { cmd: string }>
}

/** A subscription as aedes-persistence-level stores it; msgpack decodes `undefined` as null. */
export interface StoredSubscription {
  topic: string
  qos: QoS
  nl?: boolean | null
  rap?: boolean | null
  rh?: number | null
  subscriptionIdentifier?: number | null
}

/** The parts of aedes-persistence-level in use; the package has no types. */
interface LevelPersistence extends RetainedStore {
  setup(broker: { id: string }): Promise<void>
  /** Wills of brokers whose id is not a key of `brokers`. */
  streamWill(brokers: Readonly<Record<string, true>>): AsyncIterable<StoredWill>
  putWill(client: { id: string }, packet: object): Promise<unknown>
  addSubscriptions(client: { id: string }, subscriptions: readonly StoredSubscription[]): Promise<unknown>
  removeSubscriptions(client: { id: string }, filters: readonly string[]): Promise<unknown>
  subscriptionsByClient(client: { id: string }): Promise<StoredSubscription[]>
  outgoingStream(client: { id: string }): AsyncIterable<MessageSource & { cmd: string }>
}

/** Key prefixes of aedes-persistence-level. */
const SUBSCRIPTIONS = 'subscriptions:'
const WILLS = 'will:'
const REFUSED = 0x80

/**
 * Opens aedes-persistence-level on a store.
 *
 * @param brokerId id of this run, which tells leftover wills of other runs apart
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
      // Its own method reads first, and would remove a will that is stored in the meantime.
      remove: clientId => {
        store.del(WILLS + encodeURIComponent(clientId))
      },
      leftover: () => level.streamWill({ [brokerId]: true })
    },
    subscriptions: {
      add: (clientId, subscriptions) => {
        void level.addSubscriptions({ id: clientId }, subscriptions.map(storedForm))
      },
      remove: (clientId, filters) => {
        if (filters.length > 0) void level.removeSubscriptions({ id: clientId }, filters)
      },
      get: async clientId => {
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

/** Returns the database methods that aedes-persistence-level calls. */
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
