// The Aedes broker, set up to survive hostile clients and its own restarts.

import type { Aedes, PublishPacket } from 'aedes'
import type { Logger } from 'pino'
import type { Settings } from './config/schema.js'
import { harden } from './hardening.js'
import { holdWrites } from './held-writes.js'
import { OrderedAedes } from './ordered-aedes.js'
import type { Store } from './persistence.js'

/** Sessions and delayed wills that are kept for clients which are away (MQTT 5); further ones end at once. */
const MAX_PENDING_SESSIONS = 10_000

/** Makes the broker on a store; it has listened to nobody yet. */
export async function openAedes (store: Store, { limits }: Settings, log: Logger): Promise<Aedes> {
  const aedes = new OrderedAedes({
    id: store.brokerId,
    persistence: store.persistence,
    maximumPacketSize: limits.packetSize,
    connectTimeout: limits.connectTimeout,
    pendingSessionsLimit: MAX_PENDING_SESSIONS,
    // No limit of messages under way at a time: none of them waits for a client (see delivery.ts).
    concurrency: 0
  })
  harden(aedes)
  holdWrites(aedes)
  // An event that Aedes emits and does not declare: a store that fails.
  const emitter: NodeJS.EventEmitter = aedes
  emitter.on('error', (error: Error) => log.error({ err: error }, 'The broker could not finish an operation.'))
  logClients(aedes, log)
  await aedes.listen()
  return aedes
}

// One line for each connection would fill a disk under attack: these are for looking closely.
function logClients (aedes: Aedes, log: Logger): void {
  aedes.on('client', ({ id }) => log.debug({ client: id }, 'A client connected.'))
  aedes.on('clientDisconnect', ({ id }) => log.debug({ client: id }, 'A client disconnected.'))
  aedes.on('clientError', ({ id }, error) => log.debug({ client: id, reason: error.message }, 'A client was at fault.'))
  aedes.on('connectionError', (_client, error) => log.debug({ reason: error.message }, 'A connection was at fault.'))
}

/**
 * Publishes the wills of clients that were connected when an earlier run was killed [MQTT-3.1.2-8].
 * Aedes itself would do so four minutes later. Delayed wills are left to it, so that their clients
 * have a chance to come back.
 */
export async function publishLeftWills (aedes: Aedes, { persistence, brokerId }: Store, log: Logger): Promise<void> {
  for await (const { brokerId: leftBy, clientId, ...will } of persistence.streamWill({ [brokerId]: true })) {
    if (leftBy === brokerId || isDelayed(will)) continue
    // One that cannot be published now never can be: the broker must not stumble over it at each start.
    await publishWill(aedes, will).catch((error: Error) => {
      log.warn({ client: clientId, topic: will.topic, reason: error.message }, 'A will left by an earlier run was dropped.')
    })
    await persistence.delWill({ id: clientId })
  }
}

function isDelayed ({ properties }: PublishPacket): boolean {
  const delay = (properties as { willDelayInterval?: number } | undefined)?.willDelayInterval
  return delay !== undefined && delay > 0
}

function publishWill (aedes: Aedes, will: PublishPacket): Promise<void> {
  return new Promise((resolve, reject) => {
    aedes.authorizePublish(null, will, refused => {
      if (refused) reject(refused)
      else aedes.publish(will, error => error ? reject(error) : resolve())
    })
  })
}

/** Closes all clients, which publishes their wills. */
export function closeAedes (aedes: Aedes): Promise<void> {
  return new Promise(resolve => aedes.close(resolve))
}
