// Password files in mosquitto's format: USER:HASH, one user per line.

import { formatHash, parseHash, type PasswordHash } from './password-hash.js'

/** An invalid line of a password file. */
export interface PasswordFileFault {
  /** From 1. */
  line: number
  problem: string
}

/** Entries of a password file. */
export interface PasswordEntries {
  users: ReadonlyMap<string, PasswordHash>
  faults: readonly PasswordFileFault[]
}

/** Longest user name that MQTT can carry, bytes [MQTT-1.5.3]. */
const MAX_USER_BYTES = 65_535

/**
 * Parses a password file. As in mosquitto, an invalid line is ignored, and so is every further line of the same
 * user.
 */
export function parsePasswords(text: string): PasswordEntries {
  const users = new Map<string, PasswordHash>()
  const faults: PasswordFileFault[] = []
  for (const [index, line] of text.split('\n').entries()) {
    const addFault = (problem: string): void => {
      faults.push({ line: index + 1, problem })
    }
    if (isBlank(line)) continue
    const { user, hash } = fieldsOf(line)
    if (hash === undefined) {
      addFault('missing colon between user and password')
      continue
    }
    const parsed = parseHash(hash)
    if (typeof parsed === 'string') addFault(parsed)
    else if (users.has(user)) addFault('duplicate user; only the first line is used')
    else users.set(user, parsed)
  }
  return { users, faults }
}

/** Returns why a user name is invalid; undefined if it is valid. */
export function userFault(user: string): string | undefined {
  if (user === '') return 'The user name must not be empty.'
  if (user.includes(':')) return 'The user name must not contain a colon.'
  if (/[\u0000-\u001f\u007f]/.test(user) || user !== user.trim())
    return 'The user name must not contain control characters, or start or end with a space.'
  if (user.startsWith('#')) return 'The user name must not start with #, which starts a comment.'
  if (Buffer.byteLength(user) > MAX_USER_BYTES) return `The user name must have at most ${MAX_USER_BYTES} bytes.`
  return undefined
}

/** Returns the text with the user's line added or replaced; all other lines stay unchanged. */
export function withUser(text: string, user: string, hash: PasswordHash): string {
  const entry = `${user}:${formatHash(hash)}`
  const lines = linesOf(text)
  const first = lines.findIndex(line => isOf(line, user))
  if (first < 0) return [...lines, entry, ''].join('\n')
  const others = lines.filter((line, index) => index === first || !isOf(line, user))
  return [...others.with(first, entry), ''].join('\n')
}

/** Returns the text without the user; undefined if the user is not in it. */
export function withoutUser(text: string, user: string): string | undefined {
  const lines = linesOf(text)
  const others = lines.filter(line => !isOf(line, user))
  if (others.length === lines.length) return undefined
  return others.length === 0 ? '' : [...others, ''].join('\n')
}

function linesOf(text: string): string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n')
}

function isBlank(line: string): boolean {
  return line.trim() === '' || line.startsWith('#')
}

function isOf(line: string, user: string): boolean {
  return !isBlank(line) && fieldsOf(line).user === user
}

function fieldsOf(line: string): { user: string; hash: string | undefined } {
  const colon = line.indexOf(':')
  return colon < 0
    ? { user: line.trim(), hash: undefined }
    : { user: line.slice(0, colon).trim(), hash: line.slice(colon + 1).trim() }
}
