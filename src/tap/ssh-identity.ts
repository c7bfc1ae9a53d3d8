// Who we are to the far end: a private key file, or the keys of an ssh agent.

import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import ssh2 from 'ssh2'
import { OperatorError } from '../errors.js'
import type { IdentitySettings } from './ssh-settings.js'

/** The keys, as ssh2 takes them. */
export interface Identity {
  privateKey?: Buffer
  passphrase?: string
  agent?: string
  /** In words, for messages. */
  description: string
}

const OWN_KEYS = ['id_ed25519', 'id_ecdsa', 'id_rsa']

/**
 * Finds the keys to log in with.
 * @throws OperatorError `tap-identity` where there is none, or the named one cannot be used.
 */
export async function readIdentity(settings: IdentitySettings): Promise<Identity> {
  const { identityFile, passphrase } = settings
  if (identityFile !== undefined) {
    const privateKey = await readFile(identityFile).catch((cause: unknown) => {
      throw new OperatorError(
        'tap-identity',
        `The private key ${identityFile} cannot be read (${(cause as Error).message}).`,
        'Check the path and its permissions.',
        { cause }
      )
    })
    const fault = keyFault(privateKey, passphrase)
    if (fault !== undefined) {
      throw new OperatorError(
        'tap-identity',
        `The private key ${identityFile} cannot be used: ${fault}.`,
        'If it is locked, give its passphrase in the environment variable ARTEMIS_SSH_PASSPHRASE, or load it into an ssh agent (ssh-add) and name no file.'
      )
    }
    return { privateKey, passphrase, description: `the key ${identityFile}` }
  }
  const agent = settings.agentSocket ?? process.env.SSH_AUTH_SOCK
  const own = await findOwnKey()
  if (own !== undefined && agent !== undefined) {
    return { privateKey: own.privateKey, agent, description: `the key ${own.path} and those of the ssh agent` }
  }
  if (own !== undefined) return { privateKey: own.privateKey, description: `the key ${own.path}` }
  if (agent !== undefined) return { agent, description: `the keys of the ssh agent ${agent}` }
  throw new OperatorError(
    'tap-identity',
    'There is no key to log in with.',
    'Name a private key file (--identity), or load one into an ssh agent (ssh-add); `ssh-keygen -t ed25519` makes one.'
  )
}

async function findOwnKey(): Promise<{ path: string; privateKey: Buffer } | undefined> {
  for (const name of OWN_KEYS) {
    const path = join(homedir(), '.ssh', name)
    // A key that is missing, unreadable or locked is one that the user did not mean for this.
    const privateKey = await readFile(path).catch(() => undefined)
    if (privateKey !== undefined && keyFault(privateKey) === undefined) return { path, privateKey }
  }
  return undefined
}

function keyFault(privateKey: Buffer, passphrase?: string): string | undefined {
  const key = ssh2.utils.parseKey(privateKey, passphrase)
  if (key instanceof Error) return key.message
  return key.isPrivateKey() ? undefined : 'it is a public key'
}
