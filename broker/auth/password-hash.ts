// Password hashes in mosquitto's format: parses, creates and verifies them.

import { createHash, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

/** A stored password. */
export interface PasswordHash {
  /** `sha512`: one SHA-512 of password and salt; `pbkdf2`: PBKDF2 with HMAC-SHA-512 (RFC 8018, section 5.2). */
  kind: 'sha512' | 'pbkdf2'
  /** PBKDF2 iterations; 1 for `sha512`. */
  iterations: number
  salt: Buffer
  /** 64 bytes. */
  hash: Buffer
}

const HASH_BYTES = 64
/** mosquitto 2.0 writes 12 bytes of salt and 101 iterations; 2.1 writes 64 and 1,000. Both read both. */
const SALT_BYTES = 12
/** Cost of each login, and of each guess against a stolen file: about 7 ms on a 3 GHz core. */
const ITERATIONS = 10_000
/** More would make a login take seconds. */
const MAX_ITERATIONS = 1_000_000
const MAX_SALT_BYTES = 256

const derive = promisify(pbkdf2)

/**
 * Parses `$6$SALT$HASH` or `$7$ITERATIONS$SALT$HASH`, salt and hash in base64; returns the error as text if it is
 * neither.
 */
export function parseHash(text: string): PasswordHash | string {
  const parts = text.split('$')
  if (parts[0] !== '') return 'the password is not hashed; set it with `artemis passwd`'
  const isPlain = parts[1] === '6'
  if (!isPlain && parts[1] !== '7') return 'unknown hash type; expected $6$ or $7$'
  const [salt, hash] = parts.slice(isPlain ? 2 : 3).map(part => Buffer.from(part, 'base64'))
  const iterations = isPlain ? 1 : /^\d{1,7}$/.test(parts[2] ?? '') ? Number(parts[2]) : NaN
  if (parts.length !== (isPlain ? 4 : 5)) return 'the hash has the wrong number of fields'
  if (!(iterations >= 1 && iterations <= MAX_ITERATIONS)) return `iterations must be from 1 to ${MAX_ITERATIONS}`
  if (salt.length === 0 || salt.length > MAX_SALT_BYTES)
    return `the salt must be 1 to ${MAX_SALT_BYTES} bytes in base64`
  if (hash.length !== HASH_BYTES) return `the hash must be ${HASH_BYTES} bytes in base64`
  return { kind: isPlain ? 'sha512' : 'pbkdf2', iterations, salt, hash }
}

/** Formats a hash for {@link parseHash}. */
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

/** Returns a hash that no password matches, as expensive to verify as `like`. */
export function unknownHash(like: PasswordHash | undefined): PasswordHash {
  const { kind, iterations } = like ?? { kind: 'pbkdf2', iterations: ITERATIONS }
  return { kind, iterations, salt: randomBytes(SALT_BYTES), hash: randomBytes(HASH_BYTES) }
}

/** Whether a password matches the stored hash. Runs in the thread pool and compares in constant time. */
export async function isPassword(password: Buffer, stored: PasswordHash): Promise<boolean> {
  return timingSafeEqual(await hashAs(password, stored), stored.hash)
}

async function hashAs(password: Buffer, { kind, iterations, salt }: PasswordHash): Promise<Buffer> {
  // Takes a microsecond: not worth a round trip to the thread pool.
  if (kind === 'sha512') return createHash('sha512').update(password).update(salt).digest()
  return await derive(password, salt, iterations, HASH_BYTES, 'sha512')
}
