// What an operator can ask of a running detection, command by command.

import type { Client } from 'aedes'
import { clientKey } from '../alert/subjects.js'
import { OperatorError } from '../errors.js'
import type { DetectionReply, DetectionQuery } from '../detection/thread-messages.js'
import type { ObservedConnection, Observer } from '../observe/observer.js'
import type { ClientScore } from '../detection/pipeline.js'
import { originOf } from '../record.js'
import type { EveAlert } from '../report/eve.js'
import { ALLOW_CAP } from '../respond/allow-list.js'
import type { Gate } from '../respond/gate.js'
import { addressIn, allowEntryIn, clientIdIn, secondsIn, type ControlCommand } from './request.js'

/** What the commands act on. */
export interface Controlled {
  observer: Observer
  gate: Gate
  /** How long a ban lasts where the command does not say, seconds. */
  banSeconds: number
  /** Recent alerts, the latest last. */
  alerts(): EveAlert[]
  status(): object
  ask: (question: DetectionQuery) => Promise<DetectionReply | undefined>
  /** The allow-list has changed. */
  allowChanged(): void
  /** Resolves when bans and the allow-list are on the disk. */
  saved(): Promise<void>
}

/** A client as `clients` shows it. */
export interface ClientRow {
  /** null before its CONNECT. */
  clientId: string | null
  username: string | null
  address: string
  port: number
  transport: string
  /** 3.1, 3.1.1 or 5. */
  protocol: string | null
  /** When it connected, epoch milliseconds. */
  since: number
  /** Whether it is on the allow-list. */
  allowed: boolean
  /** null while there is no model, or no detection. */
  score: ClientScore | null
}

type Doing = (command: ControlCommand, on: Controlled, asker: ObservedConnection) => object | Promise<object>

/** Rows of one answer. */
const CLIENT_CAP = 1_000
const PROTOCOLS: Readonly<Record<number, string>> = { 3: '3.1', 4: '3.1.1', 5: '5' }

/** Every command by its name. */
export const COMMANDS: Readonly<Record<string, Doing>> = {
  status: (_command, on) => on.status(),
  clients: async (_command, on) => await listClients(on),
  alerts: (_command, on) => ({ alerts: on.alerts() }),
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
  const shown = all.slice(0, CLIENT_CAP)
  const keys = shown.map(({ client, announced, broker, id, clientId }) =>
    clientKey({ client, announced, broker, connection: id, clientId: clientId ?? null, username: null })
  )
  const answer = await ask({ kind: 'standings', keys })
  const standings = answer?.kind === 'standings' ? answer.standings : []
  const clients = shown.map((one, i): ClientRow => {
    const { address, port } = originOf(one)
    const { clientId = null, username = '' } = one
    return {
      clientId,
      username: username === '' ? null : username,
      address,
      port,
      transport: one.transport,
      protocol: PROTOCOLS[(one.stream as { client?: Client }).client?.version ?? 0] ?? null,
      since: Math.round(one.since),
      allowed: gate.allow.has(address, clientId),
      score: standings[i] ?? null
    }
  })
  return { clients, more: all.length - shown.length }
}

function ban(command: ControlCommand, { observer, gate, banSeconds }: Controlled, asker: ObservedConnection): object {
  const address = addressIn(command)
  const clientId = clientIdIn(command)
  const seconds = secondsIn(command, banSeconds)
  if (address === null && clientId === null) throw nobodyNamed()
  if (clientId === null && address === originOf(asker).address) {
    throw new OperatorError(
      'control-own-address',
      `${originOf(asker).address} is the address that you ask from`,
      'You would lock yourself out: ban a client id at it, or ask from elsewhere.'
    )
  }
  if (gate.allow.has(address ?? '', clientId)) {
    throw new OperatorError(
      'control-allowed',
      `${address ?? clientId} is on the allow-list`,
      'Take it off the list first: artemis allow --remove, or response.allow in the settings.'
    )
  }
  const made = gate.bans.add(address, clientId, seconds, 'operator')
  let thrownOut = 0
  for (const one of [...observer.live()]) {
    const isMeant =
      (address === null || originOf(one).address === address) && (clientId === null || one.clientId === clientId)
    if (isMeant && gate.expel(one.id)) thrownOut++
  }
  return { ban: made, thrownOut }
}

function unban(command: ControlCommand, { gate: { bans } }: Controlled): object {
  const address = addressIn(command)
  const clientId = clientIdIn(command)
  if (address === null && clientId === null) throw nobodyNamed()
  const meant = bans
    .list()
    .filter(one => (address === null || one.address === address) && (clientId === null || one.clientId === clientId))
  for (const one of meant) bans.lift(one.address, one.clientId)
  return { lifted: meant }
}

function allow(command: ControlCommand, on: Controlled): object {
  const entry = allowEntryIn(command)
  if (!on.gate.allow.add(entry))
    throw new OperatorError(
      'control-allow-full',
      `The allow-list holds ${ALLOW_CAP} entries`,
      'Allow a network instead of its addresses one by one.'
    )
  on.allowChanged()
  return { allow: on.gate.allow.list() }
}

function disallow(command: ControlCommand, on: Controlled): object {
  const entry = allowEntryIn(command)
  if (!on.gate.allow.remove(entry)) {
    const isConfigured = on.gate.allow.list().some(one => one.entry === entry)
    throw new OperatorError(
      'control-not-allowed',
      isConfigured ? `${entry} stands in the settings` : `${entry} is not on the allow-list`,
      isConfigured ? 'Take it out of response.allow there.' : '"artemis allow" without arguments prints the list.'
    )
  }
  on.allowChanged()
  return { allow: on.gate.allow.list() }
}

async function learn({ anew }: ControlCommand, on: Controlled): Promise<object> {
  if (anew === true) {
    const answer = await on.ask({ kind: 'learn' })
    if (answer === undefined)
      throw new OperatorError(
        'control-no-detection',
        'The detection does not answer',
        'Look into the log of the broker: it says why.'
      )
    if (answer.kind === 'refused') throw new OperatorError('control-learn', answer.message, answer.remedy)
  }
  return { anew: anew === true, status: on.status() }
}

function nobodyNamed(): OperatorError {
  return new OperatorError('control-request', 'Nobody is named', 'Name an address, a clientId, or both.')
}
