// Parses control requests and defines responses, in the format of mosquitto's control topics: a list of commands, a
// list of responses.

import { isIP } from 'node:net'
import { OperatorError } from '../errors.js'
import { normaliseAddress } from '../observe/address.js'
import { ALLOW_FORM, isAllowEntry } from '../respond/allow-list.js'

/** A command with its parameters, which are not yet checked. */
export interface ControlCommand {
  command: string
  /** Copied to the response. */
  correlationData?: string
  [parameter: string]: unknown
}

/** The response to one command. */
export interface ControlResponse {
  command?: string
  correlationData?: string
  /** Result of a successful command. */
  data?: object
  /** Error message of a failed command, with its remedy. */
  error?: string
  remedy?: string
}

/** Longer requests are rejected, bytes. */
const MAX_REQUEST_BYTES = 65_536
const MAX_COMMANDS = 100
const MAX_TEXT_LENGTH = 65_535
/** The longest ban, seconds: 30 days, as in the configuration. */
const MAX_BAN_SECONDS = 30 * 86_400

/**
 * Parses a request: `{"commands": [{"command": "ban", "address": "192.0.2.7"}]}`.
 *
 * @throws OperatorError `control-request`
 */
export function readRequest(payload: Buffer): ControlCommand[] {
  const commands =
    payload.length > MAX_REQUEST_BYTES ? undefined : (parseJson(payload) as { commands?: unknown } | null)?.commands
  if (!Array.isArray(commands) || commands.length > MAX_COMMANDS || !commands.every(isCommand)) {
    throw invalidRequest(
      'Invalid request',
      `Send {"commands":[{"command":"clients"}]}, up to ${MAX_COMMANDS} commands and ${MAX_REQUEST_BYTES} bytes.`
    )
  }
  return commands
}

/** Returns the address in normalised form. */
export function addressIn({ address }: ControlCommand): string | null {
  if (address === undefined || address === null) return null
  const text = typeof address === 'string' ? normaliseAddress(address) : ''
  if (isIP(text) === 0)
    throw invalidRequest(
      `${describe('address', address)} is not an IP address`,
      'Use an address such as 192.0.2.7 or 2001:db8::7.'
    )
  return text
}

export function clientIdIn({ clientId }: ControlCommand): string | null {
  if (clientId === undefined || clientId === null) return null
  if (typeof clientId !== 'string' || clientId === '' || clientId.length > MAX_TEXT_LENGTH)
    throw invalidRequest('clientId must be a non-empty string', 'Use the client id as the client sends it.')
  return clientId
}

/** Returns the duration of a ban, seconds. */
export function secondsIn({ seconds }: ControlCommand, fallback: number): number {
  if (seconds === undefined) return fallback
  if (typeof seconds !== 'number' || !(seconds >= 1 && seconds <= MAX_BAN_SECONDS)) {
    throw invalidRequest(
      `${describe('seconds', seconds)} is not a valid ban duration`,
      'Use 1 to 2592000 seconds (30 days).'
    )
  }
  return seconds
}

export function allowEntryIn({ entry }: ControlCommand): string {
  if (typeof entry !== 'string' || entry.length > MAX_TEXT_LENGTH || !isAllowEntry(entry))
    throw invalidRequest(`${describe('entry', entry)} is not a valid allow-list entry`, `Use ${ALLOW_FORM}.`)
  return entry
}

/** Formats a parameter for a message, with its value if it is a string or a number. */
function describe(name: string, value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? `${name} ${JSON.stringify(value)}` : name
}

function invalidRequest(message: string, remedy: string): OperatorError {
  return new OperatorError('control-request', message, remedy)
}

function parseJson(payload: Buffer): unknown {
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
