// Which key the host at the far end may show: pinned by a fingerprint or by known_hosts, never taken on trust.

import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { ServerHostKeyAlgorithm } from 'ssh2'
import { OperatorError } from '../errors.js'
import {
  fingerprint,
  judgeHostKey,
  keyTypeOf,
  knownHostName,
  knownKeyTypes,
  parseKnownHosts,
  type KnownHost
} from './known-hosts.js'
import type { HostKeySettings } from './ssh-settings.js'
import type { SshTarget } from './target.js'

/** What the connection needs to judge the host. */
export interface HostKeyPin {
  /** Algorithms to offer, those of known keys first, so that a host with several keys shows a known one. */
  algorithms: ServerHostKeyAlgorithm[]
  /** Why a key is refused; undefined where it is the right one. */
  refuse(key: Buffer): OperatorError | undefined
}

// By preference. Signatures by SHA-1 (ssh-rsa, ssh-dss) prove nothing any more (RFC 8332).
const ALGORITHMS: readonly { keyType: string; algorithm: ServerHostKeyAlgorithm }[] = [
  { keyType: 'ssh-ed25519', algorithm: 'ssh-ed25519' },
  { keyType: 'ecdsa-sha2-nistp256', algorithm: 'ecdsa-sha2-nistp256' },
  { keyType: 'ecdsa-sha2-nistp384', algorithm: 'ecdsa-sha2-nistp384' },
  { keyType: 'ecdsa-sha2-nistp521', algorithm: 'ecdsa-sha2-nistp521' },
  { keyType: 'ssh-rsa', algorithm: 'rsa-sha2-512' },
  { keyType: 'ssh-rsa', algorithm: 'rsa-sha2-256' }
]

/**
 * Reads what is known of a host.
 * @throws OperatorError where the fingerprint is none, or a named known_hosts file cannot be read.
 */
export async function pinHostKey(target: SshTarget, settings: HostKeySettings): Promise<HostKeyPin> {
  if (settings.hostKey !== undefined) return pinFingerprint(target, settings.hostKey)
  const file = settings.knownHostsFile ?? join(homedir(), '.ssh', 'known_hosts')
  return pinKnownHost(target, file, await readKnownHosts(file, settings.knownHostsFile !== undefined))
}

function pinFingerprint(target: SshTarget, wanted: string): HostKeyPin {
  if (!/^SHA256:[A-Za-z0-9+/]{43}=?$/.test(wanted)) {
    throw new OperatorError(
      'tap-fingerprint',
      `"${wanted}" is not the fingerprint of a host key.`,
      'Write it as ssh-keygen -l prints it: SHA256: and 43 characters.'
    )
  }
  return {
    algorithms: ALGORITHMS.map(({ algorithm }) => algorithm),
    refuse(key) {
      if (fingerprint(key) === wanted.replace(/=$/, '')) return undefined
      return new OperatorError(
        'tap-host-key-changed',
        `${target.host} shows the ${keyTypeOf(key)} key ${fingerprint(key)}, not the configured ${wanted}.`,
        `${howToCompare(key)} If it is the same, configure that fingerprint; if not, somebody may stand between.`
      )
    }
  }
}

function pinKnownHost(target: SshTarget, file: string, entries: readonly KnownHost[]): HostKeyPin {
  const name = knownHostName(target.host, target.port)
  const types = knownKeyTypes(entries, name)
  const known = ALGORITHMS.filter(({ keyType }) => types.has(keyType))
  const others = ALGORITHMS.filter(({ keyType }) => !types.has(keyType))
  return {
    algorithms: [...known, ...others].map(({ algorithm }) => algorithm),
    refuse(key) {
      const seen = `the ${keyTypeOf(key)} key ${fingerprint(key)}`
      const scan = `ssh-keyscan -p ${target.port} ${target.host} >> ${file}`
      const verdict = judgeHostKey(entries, name, key)
      switch (verdict) {
        case 'known':
          return undefined
        case 'unknown':
          return new OperatorError(
            'tap-host-key-unknown',
            `The host ${name} is not in ${file}; it shows ${seen}.`,
            `${howToCompare(key)} If it is the same, accept it by: ${scan} - or configure that fingerprint as the host key.`
          )
        case 'changed':
          return new OperatorError(
            'tap-host-key-changed',
            `The host ${name} shows ${seen}, but ${file} knows it by another one.`,
            `${howToCompare(key)} If it is the same, replace the old one by: ssh-keygen -R '${name}' -f ${file}; ${scan} - if not, somebody may stand between.`
          )
        case 'revoked':
          return new OperatorError(
            'tap-host-key-revoked',
            `The host ${name} shows ${seen}, which ${file} lists as revoked.`,
            'Somebody may stand between. Give the host a new key before you trust it again.'
          )
      }
    }
  }
}

function howToCompare(key: Buffer): string {
  const name = keyTypeOf(key)
    .replace(/^ssh-/, '')
    .replace(/^ecdsa-.*$/, 'ecdsa')
    .replace(/[^a-z0-9]/g, '')
  return `Compare it with what this prints on the host itself: ssh-keygen -lf /etc/ssh/ssh_host_${name}_key.pub.`
}

async function readKnownHosts(file: string, named: boolean): Promise<KnownHost[]> {
  try {
    return parseKnownHosts(await readFile(file, 'utf8'))
  } catch (cause) {
    // A user who never used ssh has no such file: every host is unknown then.
    if (!named && (cause as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw new OperatorError(
      'tap-known-hosts',
      `The known_hosts file ${file} cannot be read (${(cause as Error).message}).`,
      'Check the path, or configure the fingerprint of the host key instead.',
      { cause }
    )
  }
}
