// A control request and its answer, in the form that mosquitto's control topics have: a list of commands, a list of
// responses.

import { isIP } from 'node:net'
import { OperatorError } from '../errors.js'
import { normaliseAddress } from '../observe/address.js'
import { ALLOW_FORM, isAllowEntry } from '../respond/allow-list.js'

/** What is asked: its name, and what goes with it, not yet checked. */
export interface ControlCommand {
  command: string
  /** Given back with the answer. */
  correlationData?: string
  [parameter: string]: unknown
}

/** What one command is answered. */
export interface ControlResponse {
  command?: string
  correlationData?: string
  /** Where it was done. */
  data?: object
  /** Where it was not, and what to do about it. */
  error?: string
  remedy?: string
}

/** Longer requests are not read, bytes. */
const MAX_REQUEST_BYTES = 65_536
const MAX_COMMANDS = 100
const MAX_TEXT_LENGTH = 65_535
/** The longest ban, seconds: 30 days, as in the settings. */
const MAX_BAN_SECONDS = 30 * 86_400

/**
 * Reads a request: `{"commands": [{"command": "ban", "address": "192.0.2.7"}]}`.
 * @throws OperatorError `control-request`
 */
export function readRequest(payload: Buffer): ControlCommand[] {
  const commands =
    payload.length > MAX_REQUEST_BYTES ? undefined : (parsed(payload) as { commands?: unknown } | null)?.commands
  if (!Array.isArray(commands) || commands.length > MAX_COMMANDS || !commands.every(isCommand)) {
    throw wrong(
      'The request is none',
      `Send {"commands":[{"command":"clients"}]}, up to ${MAX_COMMANDS} commands and ${MAX_REQUEST_BYTES} bytes.`
    )
  }
  return commands
}

/** An address in its usual form. */
export function addressIn({ address }: ControlCommand): string | null {
  if (address === undefined || address === null) return null
  const text = typeof address === 'string' ? normaliseAddress(address) : ''
  if (isIP(text) === 0)
    throw wrong(`${shown('address', address)} is no IP address`, 'Write one such as 192.0.2.7 or 2001:db8::7.')
  return text
}

export function clientIdIn({ clientId }: ControlCommand): string | null {
  if (clientId === undefined || clientId === null) return null
  if (typeof clientId !== 'string' || clientId === '' || clientId.length > MAX_TEXT_LENGTH)
    throw wrong('clientId is no client id', 'Write it as the client sends it.')
  return clientId
}

/** How long to ban, seconds. */
export function secondsIn({ seconds }: ControlCommand, fallback: number): number {
  if (seconds === undefined) return fallback
  if (typeof seconds !== 'number' || !(seconds >= 1 && seconds <= MAX_BAN_SECONDS)) {
    throw wrong(
      `${shown('seconds', seconds)} is no time that a ban may last`,
      'Every ban ends: from 1 second to 30 days (2592000 seconds).'
    )
  }
  return seconds
}

export function allowEntryIn({ entry }: ControlCommand): string {
  if (typeof entry !== 'string' || entry.length > MAX_TEXT_LENGTH || !isAllowEntry(entry))
    throw wrong(`${shown('entry', entry)} is no entry of an allow-list`, `Write ${ALLOW_FORM}.`)
  return entry
}

/** A parameter as it was sent, where that is something to show. */
function shown(name: string, value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? `${name} ${JSON.stringify(value)}` : name
}

function wrong(message: string, remedy: string): OperatorError {
  return new OperatorError('control-request', message, remedy)
}

function parsed(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString())
  } catch {
    return null
  }
}

function isCommand(value: unknown): value is ControlCommand {
  if (typeof value !== 'object' || value === null) return false
  const { command, correlationData } = value as Partial<ControlCommand>
  return typeof command === 'string' && (correlationData === undefined || typeof correlationData === 'string')
}
