// Verifies the server's host key by a pinned fingerprint or known_hosts; never trusts on first use.

import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { ServerHostKeyAlgorithm } from 'ssh2'
import { OperatorError } from '../errors.js'
import {
  fingerprint,
  checkHostKey,
  keyTypeOf,
  knownHostName,
  knownKeyTypes,
  parseKnownHosts,
  type KnownHost
} from './known-hosts.js'
import type { HostKeySettings } from './ssh-settings.js'
import type { SshTarget } from './target.js'

/** Host key verification for a connection. */
export interface HostKeyPin {
  /** Algorithms to offer. Those of known keys are first, so that a host with several keys presents a known one. */
  algorithms: ServerHostKeyAlgorithm[]
  /** Returns why a key is rejected; undefined if it is accepted. */
  refuse(key: Buffer): OperatorError | undefined
}

// In order of preference. SHA-1 signatures (ssh-rsa, ssh-dss) are insecure (RFC 8332).
const ALGORITHMS: readonly { keyType: string; algorithm: ServerHostKeyAlgorithm }[] = [
  { keyType: 'ssh-ed25519', algorithm: 'ssh-ed25519' },
  { keyType: 'ecdsa-sha2-nistp256', algorithm: 'ecdsa-sha2-nistp256' },
  { keyType: 'ecdsa-sha2-nistp384', algorithm: 'ecdsa-sha2-nistp384' },
  { keyType: 'ecdsa-sha2-nistp521', algorithm: 'ecdsa-sha2-nistp521' },
  { keyType: 'ssh-rsa', algorithm: 'rsa-sha2-512' },
  { keyType: 'ssh-rsa', algorithm: 'rsa-sha2-256' }
]

/**
 * Loads the accepted keys of a host.
 * @throws OperatorError if the fingerprint is invalid, or a configured known_hosts file cannot be read.
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
      `Invalid host key fingerprint: "${wanted}".`,
      'Use the format of ssh-keygen -l: SHA256: and 43 characters.'
    )
  }
  return {
    algorithms: ALGORITHMS.map(({ algorithm }) => algorithm),
    refuse(key) {
      if (fingerprint(key) === wanted.replace(/=$/, '')) return undefined
      return new OperatorError(
        'tap-host-key-changed',
        `Host key mismatch: ${target.host} presented the ${keyTypeOf(key)} key ${fingerprint(key)}, not the configured ${wanted}.`,
        `${howToCompare(key)} If they match, configure that fingerprint. If not, this may be a man-in-the-middle attack.`
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
      const status = checkHostKey(entries, name, key)
      switch (status) {
        case 'known':
          return undefined
        case 'unknown':
          return new OperatorError(
            'tap-host-key-unknown',
            `Unknown host key: ${name} is not in ${file}. It presented ${seen}.`,
            `${howToCompare(key)} If they match, accept the key: ${scan} - or configure the fingerprint as the host key.`
          )
        case 'changed':
          return new OperatorError(
            'tap-host-key-changed',
            `Host key changed: ${name} presented ${seen}, but ${file} has another key.`,
            `${howToCompare(key)} If they match, replace the old key: ssh-keygen -R '${name}' -f ${file}; ${scan} - if not, this may be a man-in-the-middle attack.`
          )
        case 'revoked':
          return new OperatorError(
            'tap-host-key-revoked',
            `Host key revoked: ${name} presented ${seen}, which ${file} lists as revoked.`,
            'This may be a man-in-the-middle attack. Give the host a new key before you trust it again.'
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
  return `Compare it with the output of this command on the host: ssh-keygen -lf /etc/ssh/ssh_host_${name}_key.pub.`
}

async function readKnownHosts(file: string, isConfigured: boolean): Promise<KnownHost[]> {
  try {
    return parseKnownHosts(await readFile(file, 'utf8'))
  } catch (cause) {
    // Without the default file, every host is unknown.
    if (!isConfigured && (cause as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw new OperatorError(
      'tap-known-hosts',
      `Cannot read the known_hosts file ${file} (${(cause as Error).message}).`,
      'Check the path, or configure the host key fingerprint instead.',
      { cause }
    )
  }
}
