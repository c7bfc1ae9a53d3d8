// What we use of aedes-persistence-level, which comes without types.

declare module 'aedes-persistence-level' {
  import type { Level } from 'level'
  import type { AedesPublishPacket, PublishPacket, Subscription } from 'aedes'

  namespace levelPersistence {
    /** A will as it is stored: whose it is, and the id of the broker that the client was connected to. */
    interface StoredWill extends PublishPacket {
      clientId: string
      brokerId: string
    }

    /** The part of the persistence that is called from here; Aedes calls the rest. */
    interface LevelPersistence {
      /** Wills of brokers whose id is no key of `brokers`. */
      streamWill (brokers?: Readonly<Record<string, unknown>>): AsyncIterable<StoredWill>
      addSubscriptions (client: { id: string }, subscriptions: readonly Subscription[]): Promise<unknown>
      storeRetained (packet: AedesPublishPacket): Promise<unknown>
      /** Stores what goes out next for a message: itself with its identifier, or its PUBREL. */
      outgoingUpdate (client: { id: string }, packet: { cmd: string }): Promise<unknown>
      outgoingStream (client: { id: string }): AsyncIterable<AedesPublishPacket>
      createRetainedStream (filter: string): AsyncIterable<AedesPublishPacket>
      delWill (client: { id: string, brokerId?: string }): Promise<unknown>
    }
  }

  function levelPersistence (db: Level): levelPersistence.LevelPersistence
  export = levelPersistence
}
