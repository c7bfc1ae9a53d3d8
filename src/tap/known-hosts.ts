// Reads OpenSSH's known_hosts file (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT") and checks host keys against it.

import { createHash, createHmac } from 'node:crypto'

/** One line of the file. */
export interface KnownHost {
  /** Whether the key is revoked; certificate authorities are not supported. */
  revoked: boolean
  /** Comma-separated patterns, or one hashed name. */
  hosts: string
  /** `ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa`, ... */
  keyType: string
  /** The key in wire format (RFC 4253, 6.6). */
  key: Buffer
}

/** Result of a host key check: `changed` means that the host is known with other keys. */
export type HostKeyStatus = 'known' | 'unknown' | 'changed' | 'revoked'

const DEFAULT_SSH_PORT = 22

/** Parses the file; skips invalid lines, as ssh does. */
export function parseKnownHosts(text: string): KnownHost[] {
  const entries: KnownHost[] = []
  for (const line of text.split(/\r?\n/)) {
    const fields = line.trim().split(/[ \t]+/)
    const marker = fields[0]?.startsWith('@') ? fields.shift() : undefined
    const [hosts, keyType, base64] = fields as (string | undefined)[]
    if (hosts === undefined || keyType === undefined || base64 === undefined || hosts.startsWith('#')) continue
    if (marker !== undefined && marker !== '@revoked') continue
    entries.push({ revoked: marker === '@revoked', hosts, keyType, key: Buffer.from(base64, 'base64') })
  }
  return entries
}

/** Returns the name of a host in the file: bare for port 22, else `[host]:port`. */
export function knownHostName(host: string, port: number): string {
  const name = host.toLowerCase()
  return port === DEFAULT_SSH_PORT ? name : `[${name}]:${port}`
}

/** Checks the key that a host presents; `name` is from `knownHostName`. */
export function checkHostKey(entries: readonly KnownHost[], name: string, key: Buffer): HostKeyStatus {
  const hostEntries = entries.filter(entry => matches(entry.hosts, name))
  if (hostEntries.some(entry => entry.revoked && entry.key.equals(key))) return 'revoked'
  const accepted = hostEntries.filter(entry => !entry.revoked)
  if (accepted.some(entry => entry.key.equals(key))) return 'known'
  return accepted.length === 0 ? 'unknown' : 'changed'
}

/** Returns the types of the keys that the file lists for a host. */
export function knownKeyTypes(entries: readonly KnownHost[], name: string): Set<string> {
  return new Set(entries.filter(entry => !entry.revoked && matches(entry.hosts, name)).map(entry => entry.keyType))
}

/** Returns the fingerprint of a key as OpenSSH prints it: `SHA256:` and unpadded base64. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`
}

/** Reads the type at the start of a key (RFC 4253, 6.6). */
export function keyTypeOf(key: Buffer): string {
  const length = key.length < 4 ? 0 : key.readUInt32BE(0)
  return key
    .subarray(4, 4 + length)
    .toString('latin1')
    .replace(/[^\x21-\x7e]/g, '?')
    .slice(0, 64)
}

function matches(hosts: string, name: string): boolean {
  if (hosts.startsWith('|1|')) return matchesHashed(hosts, name)
  let found = false
  for (const pattern of hosts.split(',')) {
    const negated = pattern.startsWith('!')
    if (patternRegExp(negated ? pattern.slice(1) : pattern).test(name)) {
      // A negated match overrides all other patterns.
      if (negated) return false
      found = true
    }
  }
  return found
}

function matchesHashed(hosts: string, name: string): boolean {
  const [, , salt, hash] = hosts.split('|') as (string | undefined)[]
  if (salt === undefined || hash === undefined) return false
  return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64') === hash
}

function patternRegExp(pattern: string): RegExp {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.')
  return new RegExp(`^${source}$`, 'i')
}
