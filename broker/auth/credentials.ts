// Reads password and ACL files, all of them before any takes effect.

import { readFile } from 'node:fs/promises'
import { OperatorError } from '../../src/errors.js'
import { MAX_PATH_LENGTH, printable } from '../terminal/printable.js'
import { parseAcl, type Acl } from './acl.js'
import { parsePasswords } from './password-file.js'
import { unknownHash, type PasswordHash } from './password-hash.js'

/** Authentication settings of a listener. */
export interface ListenerAuthSettings {
  /** Whether clients without a username may connect. */
  allowAnonymous: boolean
  /** Whether the common name of the client certificate is the username. */
  identityAsUsername: boolean
  /** Path; null: no passwords. */
  passwordFile: string | null
  /** Path; null: connected clients may read and write all topics. */
  aclFile: string | null
}

/** The content of a password file. */
export interface Passwords {
  users: ReadonlyMap<string, PasswordHash>
  /** Compared with the password of an unknown user; as expensive as the most expensive hash of the file. */
  unknown: PasswordHash
}

/** Authentication of a listener, with its files read. */
export interface ListenerAuth extends Pick<ListenerAuthSettings, 'allowAnonymous' | 'identityAsUsername'> {
  passwords: Passwords | null
  acl: Acl | null
}

/** An ignored line of a password file. */
export interface SkippedLine {
  /** `FILE:LINE` */
  place: string
  problem: string
}

/** Reads each file once, even if several listeners use it. */
export class CredentialFiles {
  readonly skipped: SkippedLine[] = []
  readonly #passwords = new Map<string, Promise<Passwords>>()
  readonly #acls = new Map<string, Promise<Acl>>()

  /**
   * Reads the files of a listener.
   *
   * @throws OperatorError `password-file` or `acl-file`
   */
  async open({
    allowAnonymous,
    identityAsUsername,
    passwordFile,
    aclFile
  }: ListenerAuthSettings): Promise<ListenerAuth> {
    return {
      allowAnonymous,
      identityAsUsername,
      passwords:
        passwordFile === null ? null : await cached(this.#passwords, passwordFile, file => this.#readPasswords(file)),
      acl: aclFile === null ? null : await cached(this.#acls, aclFile, readAcl)
    }
  }

  async #readPasswords(file: string): Promise<Passwords> {
    const text = await read(file, 'password-file', 'Create it with `artemis passwd FILE USER`.')
    const { users, faults } = parsePasswords(text)
    for (const { line, problem } of faults) this.skipped.push({ place: `${file}:${line}`, problem })
    const slowest = [...users.values()].reduce<PasswordHash | undefined>(
      (max, hash) => (hash.iterations > (max?.iterations ?? 0) ? hash : max),
      undefined
    )
    return { users, unknown: unknownHash(slowest) }
  }
}

async function readAcl(file: string): Promise<Acl> {
  const acl = parseAcl(await read(file, 'acl-file', 'Check its name and permissions.'))
  if (!Array.isArray(acl)) return acl
  const lines = acl.map(({ line, problem }) => `  ${printable(file, MAX_PATH_LENGTH)}:${line}: ${problem}`)
  throw new OperatorError(
    'acl-file',
    `Invalid ACL file:\n${lines.join('\n')}`,
    'Write `topic [read|write|readwrite|deny] TOPIC` below a `user NAME` line, or `pattern ...` for all clients.'
  )
}

async function read(file: string, code: string, remedy: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code
    throw new OperatorError(code, `${printable(file, MAX_PATH_LENGTH)} cannot be read (${reason}).`, remedy, { cause })
  }
}

function cached<T>(cache: Map<string, Promise<T>>, file: string, read: (file: string) => Promise<T>): Promise<T> {
  const result = cache.get(file) ?? read(file)
  cache.set(file, result)
  return result
}
