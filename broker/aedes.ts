// The Aedes broker, set up to survive hostile clients and its own restarts.

import type { Aedes, Client, PublishPacket } from 'aedes'
import mqttPacket from 'mqtt-packet'
import type { Logger } from 'pino'
import type { Settings } from './config/schema.js'
import { harden } from './hardening.js'
import { holdWrites } from './held-writes.js'
import { limitClients } from './limits/clients.js'
import { Queues } from './limits/queues.js'
import { Tally } from './limits/tally.js'
import { limitTopics } from './limits/topics.js'
import { arrivalOf } from './listeners/arrival.js'
import { OrderedAedes } from './ordered-aedes.js'
import { isTooLarge } from './outgoing-message.js'
import { Pacing } from './pacing.js'
import type { Store } from './persistence.js'
import { enforceProtocol } from './protocol/enforcement.js'

/** Sessions and delayed wills that are kept for clients which are away (MQTT 5); further ones end at once. */
const MAX_PENDING_SESSIONS = 10_000

// Its cache holds a buffer for each number of two bytes: 65,536 of them, made while the first client waits.
mqttPacket.writeToStream.cacheNumbers = false

/** Makes the broker on a store; it has listened to nobody yet. */
export async function openAedes (
  store: Store, { limits }: Settings, log: Logger, tally = new Tally(log), opened?: Queues
): Promise<OrderedAedes> {
  const queues = opened ?? await Queues.open(store, limits, tally)
  const pacing = new Pacing()
  const aedes = new OrderedAedes({
    id: store.brokerId,
    persistence: queues.persistence,
    maximumPacketSize: limits.packetSize,
    connectTimeout: limits.connectTimeout,
    // MQTT 5 clients are told; 0 is none.
    receiveMaximum: limits.inflightMessages ?? 0,
    keepaliveLimit: Math.floor((limits.keepalive ?? 0) / 1_000),
    pendingSessionsLimit: MAX_PENDING_SESSIONS,
    // No limit of messages under way at a time: none of them waits for a client (see delivery.ts).
    concurrency: 0
  }, pacing)
  harden(aedes, {
    unreadBytes: limits.queuedBytes ?? Infinity,
    onUnread: client => { tally.hit('unread', arrivalOf(client.conn)?.client.address ?? '', { client: client.id }) },
    wasDropped: (client, packet) => queues.wasDropped(client.id, packet),
    inflightMessages: limits.inflightMessages ?? Infinity,
    hold: (client, packet) => queues.hold(client, packet),
    discard: (client, packet) => queues.discard(client, packet),
    isCrowded: client => queues.isCrowded(client.id),
    pacing
  })
  enforceProtocol(aedes)
  heedSizes(aedes)
  limitClients(aedes, limits, tally)
  limitTopics(aedes, limits, tally)
  keepQueues(aedes, queues)
  hearWhileDraining(aedes)
  holdWrites(aedes)
  // An event that Aedes emits and does not declare: a store that fails.
  const emitter: NodeJS.EventEmitter = aedes
  emitter.on('error', (error: Error) => log.error({ err: error }, 'The broker could not finish an operation.'))
  logClients(aedes, log)
  await aedes.listen()
  return aedes
}

/** Tells the queues who comes and goes, and whose session ends. */
function keepQueues (aedes: Aedes, queues: Queues): void {
  aedes.on('client', client => {
    queues.join(client)
    // What Aedes calls when a session of MQTT 5 ends; its own leaves behind what was never sent.
    const internals = client as unknown as { emptyOutgoingQueue: (done: (error?: Error) => void) => void }
    internals.emptyOutgoingQueue = done => { queues.end((client as Client).id).then(() => { done() }, done) }
  })
  aedes.on('clientDisconnect', client => { queues.leave(client) })
}

/** Aedes knows what size a client takes, and does not look at it. */
function heedSizes (aedes: Aedes): void {
  const { authorizeForward } = aedes
  aedes.authorizeForward = (client, packet) => isTooLarge(client, packet) ? null : authorizeForward.call(aedes, client, packet)
}

/**
 * Takes packets from a client before it has all that waits for it. Aedes keeps those that came with the CONNECT
 * until then, and reads no others; the acknowledgements that the rest waits for would be among them.
 */
function hearWhileDraining (aedes: Aedes): void {
  aedes.on('connackSent', (connack, client) => {
    const { returnCode, reasonCode } = connack as { returnCode?: number, reasonCode?: number }
    if ((reasonCode ?? returnCode) !== 0) return
    const internals = client as unknown as NodeJS.EventEmitter & { resume: () => void }
    Object.assign(client, { connackSent: true, connected: true })
    internals.resume()
    internals.emit('connected')
  })
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
