// Creates the broker from its settings: store, core and client limits.

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

/** A broker without listeners, and the functions that shut it down. */
export interface OpenedBroker {
  broker: Broker
  /** Disconnects all clients. */
  closeClients: () => Promise<void>
  /**
   * Writes pending changes and closes the store.
   *
   * @throws OperatorError `store-unwritten` if the disk refuses them
   */
  close: () => Promise<void>
}

/** Decisions made outside the core. */
export interface OpenOptions {
  /** Whether a message may be queued for an offline client. @default always */
  mayWait?: (clientId: string, topic: string) => boolean
}

const SECOND_MS = 1_000

// mqtt-packet otherwise caches a buffer for each of the 65,536 two-byte numbers, which delays the first client.
mqttPacket.writeToStream.cacheNumbers = false

/**
 * Opens the data folder and creates a broker that uses it.
 *
 * @throws OperatorError `data-folder`, `data-in-use` or `data-damaged`
 */
export async function openBroker(
  settings: Settings,
  log: Logger,
  counters = new LimitCounters(log),
  { mayWait = () => true }: OpenOptions = {}
): Promise<OpenedBroker> {
  const { data, persistence: isPersistent, syncWrites, limits } = settings
  const db = await openDatabase(data, isPersistent)
  let abortCleanup = (): void => {}
  try {
    const store = new Store(
      db,
      {
        onFailed: error => {
          abortCleanup()
          log.error(
            { reason: error.message },
            'Cannot write to the store. Messages that must be stored are not acknowledged until it can. Check for free disk space.'
          )
        },
        onRecovered: () => {
          log.info('The store is writable again.')
        }
      },
      syncWrites
    )
    const id = await nextBrokerId(db)
    const persistence = await openPersistence(store, id)
    const imported = await importQueues(store, persistence)
    if (imported !== undefined)
      log.info({ messages: imported }, 'Imported the sessions and queues of an earlier version.')
    const broker = new Broker({
      aedes: {
        id,
        maximumPacketSize: limits.packetSize,
        connectTimeout: limits.connectTimeout,
        // Announced to MQTT 5 clients; 0: no limit.
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
        onConnect(client, packet, limits, counters)
      },
      onLimit: (name, client) => {
        counters.hit(name, addressOf(client), { client: client.id })
      },
      onDenied: (what, client, topic) => {
        counters.hit(what, addressOf(client), { client: client.id, topic })
      },
      onDropped: (limit, client, connected) => {
        counters.hit(limit, connected === undefined ? '' : addressOf(connected), { client })
      },
      onSessionDropped: client => {
        counters.hit('sessions', '', { client })
      },
      onUnreadable: (client, error) => {
        log.error(
          { client: printable(client), reason: error.message },
          'Cannot read a session or one of its messages: dropped.'
        )
      },
      onUnavailable: (client, error) => {
        log.error(
          { client: printable(client), reason: error.message },
          'Cannot read the queue of a session. Retrying every second.'
        )
      }
    })
    limitClients(broker, counters)
    limitTopics(broker, limits, counters)
    // Aedes emits 'error' for a failed persistence, but does not declare it.
    const emitter: NodeJS.EventEmitter = broker
    emitter.on('error', (error: Error) => log.error({ err: error }, 'A broker operation failed.'))
    logClients(broker, log)
    await broker.listen()
    return {
      broker,
      closeClients: () =>
        new Promise(resolve => {
          broker.close(resolve)
        }),
      close: async () => {
        // On a full disk, the next stop removes the old records.
        if (!store.isFailing)
          await Promise.race([
            removeImported(store),
            new Promise<void>(resolve => {
              abortCleanup = resolve
            })
          ])
        const { lost } = await store.close()
        if (lost > 0) {
          throw new OperatorError(
            'store-unwritten',
            `Cannot write to the store at shutdown: ${lost} changes lost, none of them acknowledged.`,
            `Free disk space in ${data}.`
          )
        }
      }
    }
  } catch (error) {
    await db.close()
    throw readingFailed(data, error)
  }
}

// At debug level: under attack, one line per connection would fill the disk.
function logClients(broker: Broker, log: Logger): void {
  broker.on('client', ({ id }) => log.debug({ client: id }, 'Client connected.'))
  broker.on('clientDisconnect', ({ id }) => log.debug({ client: id }, 'Client disconnected.'))
  broker.on('clientError', ({ id }, error) => log.debug({ client: id, reason: error.message }, 'Client error.'))
  broker.on('connectionError', (_client, error) => log.debug({ reason: error.message }, 'Connection error.'))
}
