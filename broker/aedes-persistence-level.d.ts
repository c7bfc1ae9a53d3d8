// What we use of aedes-persistence-level, which comes without types.

declare module 'aedes-persistence-level' {
  import type { Level } from 'level'
  import type { MessageSource } from './core/message.js'
  import type { StoredSubscription } from './core/persistence.js'

  namespace levelPersistence {
    /** A packet as it is stored. */
    type StoredPacket = MessageSource & { cmd: string }

    interface LevelPersistence {
      setup(broker: { id: string }): Promise<void>
      /** Wills of brokers whose id is no key of `brokers`. */
      streamWill(
        brokers?: Readonly<Record<string, unknown>>
      ): AsyncIterable<StoredPacket & { clientId: string; brokerId: string }>
      putWill(client: { id: string }, packet: object): Promise<unknown>
      delWill(client: { id: string }): Promise<unknown>
      addSubscriptions(client: { id: string }, subscriptions: readonly { topic: string }[]): Promise<unknown>
      removeSubscriptions(client: { id: string }, filters: readonly string[]): Promise<unknown>
      subscriptionsByClient(client: { id: string }): Promise<StoredSubscription[]>
      storeRetained(packet: object): Promise<unknown>
      createRetainedStream(filter: string): AsyncIterable<StoredPacket>
      outgoingStream(client: { id: string }): AsyncIterable<StoredPacket>
    }
  }

  function levelPersistence(db: Level): levelPersistence.LevelPersistence
  export = levelPersistence
}
