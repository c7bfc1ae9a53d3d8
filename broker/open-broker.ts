// Puts the broker together from its settings: the store, the core, and the limits of its clients.

import mqttPacket from 'mqtt-packet'
import type { Logger } from 'pino'
import { OperatorError } from '../src/errors.js'
import type { Settings } from './config/schema.js'
import { Broker } from './core/broker.js'
import { nextBrokerId, openDatabase, readingFailed } from './core/database.js'
import { Backpressure } from './core/backpressure.js'
import { openPersistence } from './core/persistence.js'
import { importQueues, removeImported } from './core/queue-import.js'
import { NEVER } from './core/sessions.js'
import { Store } from './core/store.js'
import { addressOf, limitClients, onConnect } from './limits/clients.js'
import { LimitCounters } from './limits/limit-counters.js'
import { limitTopics } from './limits/topics.js'
import { printable } from './terminal/printable.js'

/** A broker that has listened to nobody yet, and its end. */
export interface OpenedBroker {
  broker: Broker
  /** Closes all clients. */
  closeClients: () => Promise<void>
  /**
   * Writes what is left and closes the store.
   *
   * @throws OperatorError `store-unwritten` where the disk refuses it
   */
  close: () => Promise<void>
}

/** What others decide. */
export interface OpenOptions {
  /** Whether a message may wait for a client that is away. */
  mayWait?: (clientId: string, topic: string) => boolean
}

const SECOND_MS = 1_000

// Its cache holds a buffer for each number of two bytes: 65,536 of them, made while the first client waits.
mqttPacket.writeToStream.cacheNumbers = false

/**
 * Opens the data folder and makes a broker on it.
 *
 * @throws OperatorError `data-folder`, `data-in-use` or `data-damaged`
 */
export async function openBroker(
  settings: Settings,
  log: Logger,
  tally = new LimitCounters(log),
  { mayWait = () => true }: OpenOptions = {}
): Promise<OpenedBroker> {
  const { data, persistence: isPersistent, syncWrites, limits } = settings
  const db = await openDatabase(data, isPersistent)
  let giveUp = (): void => {}
  try {
    const store = new Store(
      db,
      {
        onFailed: error => {
          giveUp()
          log.error(
            { reason: error.message },
            'The store cannot be written; what depends on it is not acknowledged until it can. Check that the disk has room.'
          )
        },
        onRecovered: () => {
          log.info('The store is written again.')
        }
      },
      syncWrites
    )
    const id = await nextBrokerId(db)
    const persistence = await openPersistence(store, id)
    const imported = await importQueues(store, persistence)
    if (imported !== undefined)
      log.info({ messages: imported }, 'Sessions and queues of an earlier version were taken over.')
    const broker = new Broker({
      aedes: {
        id,
        maximumPacketSize: limits.packetSize,
        connectTimeout: limits.connectTimeout,
        // MQTT 5 clients are told; 0 is none.
        receiveMaximum: limits.inflightMessages ?? 0,
        keepaliveLimit: Math.floor((limits.keepalive ?? 0) / SECOND_MS),
        concurrency: 0
      },
      store,
      persistence,
      limits: {
        queuedMessages: limits.queuedMessages ?? Infinity,
        queuedBytes: limits.queuedBytes ?? Infinity,
        retainedMessages: limits.retainedMessages ?? Infinity,
        retainedBytes: limits.retainedBytes ?? Infinity,
        sessions: limits.sessions ?? Infinity,
        sessionExpiry: limits.sessionExpiry === null ? NEVER : Math.ceil(limits.sessionExpiry / SECOND_MS)
      },
      backpressure: new Backpressure(),
      readLimits: limits,
      inflightMessages: limits.inflightMessages ?? Infinity,
      unreleasedMessages: limits.queuedMessages ?? Infinity,
      unreadBytes: limits.queuedBytes ?? Infinity,
      mayWait,
      onConnect: (client, packet) => {
        onConnect(client, packet, limits, tally)
      },
      onLimit: (name, client) => {
        tally.hit(name, addressOf(client), { client: client.id })
      },
      onDenied: (what, client, topic) => {
        tally.hit(what, addressOf(client), { client: client.id, topic })
      },
      onDropped: (limit, client, connected) => {
        tally.hit(limit, connected === undefined ? '' : addressOf(connected), { client })
      },
      onSessionDropped: client => {
        tally.hit('sessions', '', { client })
      },
      onUnreadable: (client, error) => {
        log.error(
          { client: printable(client), reason: error.message },
          'A session, or a message of it, could not be read and was dropped.'
        )
      },
      onUnavailable: (client, error) => {
        log.error(
          { client: printable(client), reason: error.message },
          'Cannot read the queue of a session; trying again every second.'
        )
      }
    })
    limitClients(broker, tally)
    limitTopics(broker, limits, tally)
    // An event that Aedes emits and does not declare: a store that fails.
    const emitter: NodeJS.EventEmitter = broker
    emitter.on('error', (error: Error) => log.error({ err: error }, 'The broker could not finish an operation.'))
    logClients(broker, log)
    await broker.listen()
    return {
      broker,
      closeClients: () =>
        new Promise(resolve => {
          broker.close(resolve)
        }),
      close: async () => {
        // What a full disk keeps for now is removed at the next stop.
        if (!store.isFailing)
          await Promise.race([
            removeImported(store),
            new Promise<void>(resolve => {
              giveUp = resolve
            })
          ])
        const { lost } = await store.close()
        if (lost > 0) {
          throw new OperatorError(
            'store-unwritten',
            `The store could not be written before the stop: ${lost} changes are lost, none of them acknowledged.`,
            `Make room in ${data}.`
          )
        }
      }
    }
  } catch (error) {
    await db.close()
    throw readingFailed(data, error)
  }
}

// One line for each connection would fill a disk under attack: these are for looking closely.
function logClients(broker: Broker, log: Logger): void {
  broker.on('client', ({ id }) => log.debug({ client: id }, 'A client connected.'))
  broker.on('clientDisconnect', ({ id }) => log.debug({ client: id }, 'A client disconnected.'))
  broker.on('clientError', ({ id }, error) => log.debug({ client: id, reason: error.message }, 'Client error.'))
  broker.on('connectionError', (_client, error) => log.debug({ reason: error.message }, 'Connection error.'))
}
