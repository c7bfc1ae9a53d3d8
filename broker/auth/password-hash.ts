// Hashes of passwords as mosquitto writes them: read, made, and compared with what a client says.

import { createHash, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

/** A stored password. */
export interface PasswordHash {
  /** `sha512`: one SHA-512 of password and salt; `pbkdf2`: PBKDF2 with HMAC-SHA-512 (RFC 8018, section 5.2). */
  kind: 'sha512' | 'pbkdf2'
  /** Of PBKDF2; 1 for `sha512`. */
  iterations: number
  salt: Buffer
  /** 64 bytes. */
  hash: Buffer
}

const HASH_BYTES = 64
/** What mosquitto 2.0 takes: 12 bytes of salt and 101 rounds; 2.1 takes 64 and 1,000. Both read both. */
const SALT_BYTES = 12
/** Each guess of whoever has stolen the file costs so many rounds, and each login: some 7 ms on a core of 3 GHz. */
const ITERATIONS = 10_000
/** Above this a login would take seconds. */
const MAX_ITERATIONS = 1_000_000
const MAX_SALT_BYTES = 256

const derive = promisify(pbkdf2)

/**
 * Reads `$6$SALT$HASH` or `$7$ITERATIONS$SALT$HASH`, both parts in base64; a sentence that says what is wrong where it
 * is neither.
 */
export function parseHash(text: string): PasswordHash | string {
  const parts = text.split('$')
  if (parts[0] !== '') return 'the password is not hashed: `artemis passwd` writes it as it should be'
  const isPlain = parts[1] === '6'
  if (!isPlain && parts[1] !== '7') return 'unknown kind of hash; $6$ and $7$ are known'
  const [salt, hash] = parts.slice(isPlain ? 2 : 3).map(part => Buffer.from(part, 'base64'))
  const iterations = isPlain ? 1 : /^\d{1,7}$/.test(parts[2] ?? '') ? Number(parts[2]) : NaN
  if (parts.length !== (isPlain ? 4 : 5)) return 'the hash is cut short or has parts too many'
  if (!(iterations >= 1 && iterations <= MAX_ITERATIONS))
    return `the number of rounds should be from 1 to ${MAX_ITERATIONS}`
  if (salt.length === 0 || salt.length > MAX_SALT_BYTES) return 'the salt is no base64'
  if (hash.length !== HASH_BYTES) return 'the hash is not that of SHA-512'
  return { kind: isPlain ? 'sha512' : 'pbkdf2', iterations, salt, hash }
}

/** The text that {@link parseHash} reads. */
export function formatHash({ kind, iterations, salt, hash }: PasswordHash): string {
  const parts = kind === 'sha512' ? ['', '6'] : ['', '7', String(iterations)]
  return [...parts, salt.toString('base64'), hash.toString('base64')].join('$')
}

/** Hashes a password with a new salt. */
export async function hashPassword(password: Buffer): Promise<PasswordHash> {
  const salt = randomBytes(SALT_BYTES)
  return {
    kind: 'pbkdf2',
    iterations: ITERATIONS,
    salt,
    hash: await derive(password, salt, ITERATIONS, HASH_BYTES, 'sha512')
  }
}

/** A hash that no password has, and that costs as much to compare with as `like`. */
export function unknownHash(like: PasswordHash | undefined): PasswordHash {
  const { kind, iterations } = like ?? { kind: 'pbkdf2', iterations: ITERATIONS }
  return { kind, iterations, salt: randomBytes(SALT_BYTES), hash: randomBytes(HASH_BYTES) }
}

/**
 * Whether a password is the stored one: outside of the event loop, and in a time that tells nothing of how near it is.
 */
export async function isPassword(password: Buffer, stored: PasswordHash): Promise<boolean> {
  return timingSafeEqual(await hashAs(password, stored), stored.hash)
}

async function hashAs(password: Buffer, { kind, iterations, salt }: PasswordHash): Promise<Buffer> {
  // A microsecond: not worth the way to another thread and back.
  if (kind === 'sha512') return createHash('sha512').update(password).update(salt).digest()
  return await derive(password, salt, iterations, HASH_BYTES, 'sha512')
}
