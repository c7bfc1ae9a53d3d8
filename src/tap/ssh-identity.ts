// The keys for the SSH login: a private key file, or the keys of an ssh agent.

import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import ssh2 from 'ssh2'
import { OperatorError } from '../errors.js'
import type { IdentitySettings } from './ssh-settings.js'

/** The keys as connection options of ssh2. */
export interface Identity {
  privateKey?: Buffer
  passphrase?: string
  agent?: string
  /** Description for messages. */
  description: string
}

const DEFAULT_KEYS = ['id_ed25519', 'id_ecdsa', 'id_rsa']

/**
 * Finds the keys for the login.
 * @throws OperatorError `tap-identity` if there is none, or the configured one cannot be used.
 */
export async function readIdentity(settings: IdentitySettings): Promise<Identity> {
  const { identityFile, passphrase } = settings
  if (identityFile !== undefined) {
    const privateKey = await readFile(identityFile).catch((cause: unknown) => {
      throw new OperatorError(
        'tap-identity',
        `Cannot read the private key ${identityFile} (${(cause as Error).message}).`,
        'Check the path and its permissions.',
        { cause }
      )
    })
    const problem = keyProblem(privateKey, passphrase)
    if (problem !== undefined) {
      throw new OperatorError(
        'tap-identity',
        `Cannot use the private key ${identityFile}: ${problem}.`,
        'If it is encrypted, set the passphrase in the environment variable ARTEMIS_SSH_PASSPHRASE, or load it into an ssh agent (ssh-add) and specify no file.'
      )
    }
    return { privateKey, passphrase, description: `the key ${identityFile}` }
  }
  const agent = settings.agentSocket ?? process.env.SSH_AUTH_SOCK
  const defaultKey = await findDefaultKey()
  if (defaultKey !== undefined && agent !== undefined) {
    return {
      privateKey: defaultKey.privateKey,
      agent,
      description: `the key ${defaultKey.path} and those of the ssh agent`
    }
  }
  if (defaultKey !== undefined) return { privateKey: defaultKey.privateKey, description: `the key ${defaultKey.path}` }
  if (agent !== undefined) return { agent, description: `the keys of the ssh agent ${agent}` }
  throw new OperatorError(
    'tap-identity',
    'No SSH private key found.',
    'Specify a private key file (--identity), or load a key into an ssh agent (ssh-add). Create one with: ssh-keygen -t ed25519'
  )
}

async function findDefaultKey(): Promise<{ path: string; privateKey: Buffer } | undefined> {
  for (const name of DEFAULT_KEYS) {
    const path = join(homedir(), '.ssh', name)
    // Skip keys that are missing, unreadable or encrypted.
    const privateKey = await readFile(path).catch(() => undefined)
    if (privateKey !== undefined && keyProblem(privateKey) === undefined) return { path, privateKey }
  }
  return undefined
}

function keyProblem(privateKey: Buffer, passphrase?: string): string | undefined {
  const key = ssh2.utils.parseKey(privateKey, passphrase)
  if (key instanceof Error) return key.message
  return key.isPrivateKey() ? undefined : 'it is a public key'
}
