// A password file in mosquitto's format: USER:HASH, one user a line.

import { formatHash, parseHash, type PasswordHash } from './password-hash.js'

/** A line of the file that names nobody who could log in. */
export interface PasswordFileFault {
  /** From 1. */
  line: number
  problem: string
}

/** What a password file says. */
export interface PasswordEntries {
  users: ReadonlyMap<string, PasswordHash>
  faults: readonly PasswordFileFault[]
}

/** Length in bytes that MQTT can carry [MQTT-1.5.3]. */
const MAX_USER_BYTES = 65_535

/**
 * Reads a password file. As in mosquitto a faulty line is left out and the others count, and of two lines
 * for one user the first does.
 */
export function parsePasswords(text: string): PasswordEntries {
  const users = new Map<string, PasswordHash>()
  const faults: PasswordFileFault[] = []
  for (const [index, line] of text.split('\n').entries()) {
    const note = (problem: string): void => {
      faults.push({ line: index + 1, problem })
    }
    if (isBlank(line)) continue
    const { user, hash } = fieldsOf(line)
    if (hash === undefined) {
      note('there is no colon between user and password')
      continue
    }
    const read = parseHash(hash)
    if (typeof read === 'string') note(read)
    else if (users.has(user)) note('this user was given before; the first line counts')
    else users.set(user, read)
  }
  return { users, faults }
}

/** What is wrong with a name of a user; undefined where nothing is. */
export function userFault(user: string): string | undefined {
  if (user === '') return 'A user needs a name.'
  if (user.includes(':')) return 'A colon parts user and password in the file: a user cannot have one.'
  if (/[\u0000-\u001f\u007f]/.test(user) || user !== user.trim())
    return 'A user has no control characters, and no space at the ends.'
  if (user.startsWith('#')) return 'A line that begins with # is a comment: a user cannot.'
  if (Buffer.byteLength(user) > MAX_USER_BYTES) return `A user has at most ${MAX_USER_BYTES} bytes.`
  return undefined
}

/** The text with the user's line put in, or replaced; all other lines stay as they are. */
export function withUser(text: string, user: string, hash: PasswordHash): string {
  const entry = `${user}:${formatHash(hash)}`
  const lines = linesOf(text)
  const first = lines.findIndex(line => isOf(line, user))
  if (first < 0) return [...lines, entry, ''].join('\n')
  const others = lines.filter((line, index) => index === first || !isOf(line, user))
  return [...others.with(first, entry), ''].join('\n')
}

/** The text without the user; undefined where it has none of that name. */
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
