// The files that say who may come in and what for: read together, so that a bad one changes nothing.

import { readFile } from 'node:fs/promises'
import { OperatorError } from '../../src/errors.js'
import { MAX_PATH_LENGTH, printable } from '../terminal/printable.js'
import { parseAcl, type Acl } from './acl.js'
import { parsePasswords } from './password-file.js'
import { unknownHash, type PasswordHash } from './password-hash.js'

/** Who may come in at a listener, as the settings say it. */
export interface ListenerAuthSettings {
  /** Whether clients without a username may come in. */
  allowAnonymous: boolean
  /** Whether the identity of the client's certificate is its username. */
  identityAsUsername: boolean
  /** Path; null: there are no passwords. */
  passwordFile: string | null
  /** Path; null: who is in may read and write everything. */
  aclFile: string | null
}

/** A password file, read. */
export interface Passwords {
  users: ReadonlyMap<string, PasswordHash>
  /** What the password of an unknown user is compared with: it costs as much as the dearest of the known. */
  unknown: PasswordHash
}

/** Who may come in at a listener, with the files read. */
export interface ListenerAuth extends Pick<ListenerAuthSettings, 'allowAnonymous' | 'identityAsUsername'> {
  passwords: Passwords | null
  acl: Acl | null
}

/** A line of a file that was left out. */
export interface SkippedLine {
  /** `FILE:LINE` */
  place: string
  problem: string
}

/** Reads each file once, whatever number of listeners names it. */
export class CredentialFiles {
  readonly skipped: SkippedLine[] = []
  readonly #passwords = new Map<string, Promise<Passwords>>()
  readonly #acls = new Map<string, Promise<Acl>>()

  /**
   * What a listener asks for, with the files read.
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
        passwordFile === null ? null : await once(this.#passwords, passwordFile, file => this.#readPasswords(file)),
      acl: aclFile === null ? null : await once(this.#acls, aclFile, readAcl)
    }
  }

  async #readPasswords(file: string): Promise<Passwords> {
    const text = await read(file, 'password-file', '`artemis passwd FILE USER` makes one.')
    const { users, faults } = parsePasswords(text)
    for (const { line, problem } of faults) this.skipped.push({ place: `${file}:${line}`, problem })
    const dearest = [...users.values()].reduce<PasswordHash | undefined>(
      (most, one) => (one.iterations > (most?.iterations ?? 0) ? one : most),
      undefined
    )
    return { users, unknown: unknownHash(dearest) }
  }
}

async function readAcl(file: string): Promise<Acl> {
  const acl = parseAcl(await read(file, 'acl-file', 'Check its name and permissions.'))
  if (!Array.isArray(acl)) return acl
  const lines = acl.map(({ line, problem }) => `  ${printable(file, MAX_PATH_LENGTH)}:${line}: ${problem}`)
  throw new OperatorError(
    'acl-file',
    `The access rules cannot be used:\n${lines.join('\n')}`,
    'A rule is `topic [read|write|readwrite|deny] TOPIC` below a line `user NAME`, or `pattern ...` for everybody.'
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

function once<T>(known: Map<string, Promise<T>>, file: string, make: (file: string) => Promise<T>): Promise<T> {
  const made = known.get(file) ?? make(file)
  known.set(file, made)
  return made
}
