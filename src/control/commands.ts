// The control commands for a running detection.

import type { Client } from 'aedes'
import { clientKey } from '../alert/subjects.js'
import { OperatorError } from '../errors.js'
import type { DetectionReply, DetectionQuery } from '../detection/thread-messages.js'
import type { ObservedConnection, Observer } from '../observe/observer.js'
import type { ClientScore } from '../detection/pipeline.js'
import { clientEndpoint } from '../record.js'
import type { EveAlert } from '../report/eve.js'
import { ALLOW_CAP } from '../respond/allow-list.js'
import { banTarget, missingTarget } from '../respond/ban-target.js'
import type { Gate } from '../respond/gate.js'
import { addressIn, allowEntryIn, clientIdIn, secondsIn, type ControlCommand } from './request.js'

/** What the commands act on. */
export interface Controlled {
  observer: Observer
  gate: Gate
  /** Default duration of a ban, seconds. */
  banSeconds: number
  /** Returns recent alerts, the latest last. */
  alerts(): EveAlert[]
  status(): object
  ask: (question: DetectionQuery) => Promise<DetectionReply | undefined>
  /** Called after the allow-list has changed. */
  allowChanged(): void
  /** Resolves when bans and the allow-list are on disk. */
  saved(): Promise<void>
}

/** A client in the response to `clients`. */
export interface ClientRow {
  /** null before its CONNECT. */
  clientId: string | null
  username: string | null
  address: string
  port: number
  transport: string
  /** 3.1, 3.1.1 or 5. */
  protocol: string | null
  /** Time of connection, epoch milliseconds. */
  since: number
  /** Whether it is on the allow-list. */
  allowed: boolean
  /** null without a model or without a running detection. */
  score: ClientScore | null
}

type CommandHandler = (
  command: ControlCommand,
  context: Controlled,
  requester: ObservedConnection
) => object | Promise<object>

/** Maximum number of clients in one response. */
const CLIENT_CAP = 1_000
const PROTOCOLS: Readonly<Record<number, string>> = { 3: '3.1', 4: '3.1.1', 5: '5' }

/** Every command by its name. */
export const COMMANDS: Readonly<Record<string, CommandHandler>> = {
  status: (_command, context) => context.status(),
  clients: async (_command, context) => await listClients(context),
  alerts: (_command, context) => ({ alerts: context.alerts() }),
  bans: (_command, { gate }) => ({ bans: gate.bans.list() }),
  ban,
  unban,
  allowed: (_command, { gate }) => ({ allow: gate.allow.list() }),
  allow,
  disallow,
  learn
}

async function listClients({ observer, gate, ask }: Controlled): Promise<object> {
  const all = [...observer.live()]
  const listed = all.slice(0, CLIENT_CAP)
  const keys = listed.map(({ client, announced, broker, id, clientId }) =>
    clientKey({ client, announced, broker, connection: id, clientId: clientId ?? null, username: null })
  )
  const answer = await ask({ kind: 'client-scores', keys })
  const scores = answer?.kind === 'client-scores' ? answer.scores : []
  const clients = listed.map((connection, i): ClientRow => {
    const { address, port } = clientEndpoint(connection)
    const { clientId = null, username = '' } = connection
    return {
      clientId,
      username: username === '' ? null : username,
      address,
      port,
      transport: connection.transport,
      protocol: PROTOCOLS[(connection.stream as { client?: Client }).client?.version ?? 0] ?? null,
      since: Math.round(connection.since),
      allowed: gate.allow.has(address, clientId),
      score: scores[i] ?? null
    }
  })
  return { clients, more: all.length - listed.length }
}

function ban(
  command: ControlCommand,
  { observer, gate, banSeconds }: Controlled,
  requester: ObservedConnection
): object {
  const address = addressIn(command)
  const clientId = clientIdIn(command)
  const seconds = secondsIn(command, banSeconds)
  if (clientId === null && address === clientEndpoint(requester).address) {
    throw new OperatorError(
      'control-own-address',
      `${clientEndpoint(requester).address} is your own address`,
      'You would lock yourself out: ban a client id at this address, or connect from another address.'
    )
  }
  const { ban, disconnected } = banTarget({ address, clientId }, seconds, gate, observer)
  return { ban, thrownOut: disconnected }
}

function unban(command: ControlCommand, { gate: { bans } }: Controlled): object {
  const address = addressIn(command)
  const clientId = clientIdIn(command)
  if (address === null && clientId === null) throw missingTarget()
  const lifted = bans
    .list()
    .filter(ban => (address === null || ban.address === address) && (clientId === null || ban.clientId === clientId))
  for (const ban of lifted) bans.lift(ban.address, ban.clientId)
  return { lifted }
}

function allow(command: ControlCommand, context: Controlled): object {
  const entry = allowEntryIn(command)
  if (!context.gate.allow.add(entry))
    throw new OperatorError(
      'control-allow-full',
      `The allow-list is full (${ALLOW_CAP} entries)`,
      'Allow a network instead of single addresses.'
    )
  context.allowChanged()
  return { allow: context.gate.allow.list() }
}

function disallow(command: ControlCommand, context: Controlled): object {
  const entry = allowEntryIn(command)
  if (!context.gate.allow.remove(entry)) {
    const isConfigured = context.gate.allow.list().some(listed => listed.entry === entry)
    throw new OperatorError(
      'control-not-allowed',
      isConfigured ? `${entry} is configured in the settings` : `${entry} is not on the allow-list`,
      isConfigured
        ? 'Remove it from response.allow in the settings.'
        : '"artemis allow" without arguments prints the list.'
    )
  }
  context.allowChanged()
  return { allow: context.gate.allow.list() }
}

async function learn({ anew }: ControlCommand, context: Controlled): Promise<object> {
  if (anew === true) {
    const answer = await context.ask({ kind: 'learn' })
    if (answer === undefined)
      throw new OperatorError('control-no-detection', 'The detection does not respond', "Check the broker's log.")
    if (answer.kind === 'refused') throw new OperatorError('control-learn', answer.message, answer.remedy)
  }
  return { anew: anew === true, status: context.status() }
}
