// The SSH connection below a tap: keys only, host key pinned, every failure in plain words.

import { connect as connectTcp } from 'node:net'
import ssh2 from 'ssh2'
import { OperatorError } from '../errors.js'
import type { ConnectionSettings } from './ssh-settings.js'
import { pinHostKey } from './ssh-host-key.js'
import { readIdentity } from './ssh-identity.js'
import type { SshTarget } from './target.js'

/** A connection that is logged in. */
export interface SshConnection {
  client: ssh2.Client
  /** Rejects with the reason when the connection is gone. */
  lost: Promise<never>
  /** Ends it at once; resolves when it is gone. */
  cut: () => Promise<void>
}

const CONNECT_TIMEOUT_MS = 10_000
const KEEPALIVE_MS = 10_000
const KEEPALIVE_COUNT = 3

/**
 * Connects and logs in.
 * @throws OperatorError for everything between a wrong host name and a key that is not welcome; or the reason of
 *   `signal`.
 */
export async function connectSsh(
  target: SshTarget,
  settings: ConnectionSettings,
  signal?: AbortSignal
): Promise<SshConnection> {
  const pin = await pinHostKey(target, settings)
  const { description, ...identity } = await readIdentity(settings)
  const readyTimeout = settings.connectTimeoutMs ?? CONNECT_TIMEOUT_MS
  signal?.throwIfAborted()

  // A socket of our own: ssh2 ends only its side, and a far end that never does so would keep it for ever.
  const socket = connectTcp({ host: target.host, port: target.port })
  const client = new ssh2.Client()
  let refusal: OperatorError | undefined
  let reason: OperatorError | undefined
  client.on('error', (error: Error & { level?: string }) => {
    // An agent that does not answer is no end yet: the next key is tried.
    if (error.level === 'agent') return
    reason ??= refusal ?? explain(error, target, description, readyTimeout)
    socket.destroy()
  })
  const closed = new Promise<void>(resolve => socket.once('close', () => resolve()))
  const lost = closed.then(() => {
    throw reason ?? new OperatorError('tap-connection-lost', `The SSH connection to ${target.host} ended.`)
  })
  // It is waited for where it matters; until then it must not count as unhandled.
  lost.catch(() => {})
  const ready = new Promise<void>(resolve => client.once('ready', () => resolve()))
  client.connect({
    ...identity,
    sock: socket,
    username: target.user,
    readyTimeout,
    keepaliveInterval: settings.keepaliveMs ?? KEEPALIVE_MS,
    keepaliveCountMax: KEEPALIVE_COUNT,
    algorithms: { serverHostKey: pin.algorithms },
    hostVerifier: (key: Buffer) => {
      refusal = pin.refuse(key)
      return refusal === undefined
    }
  })

  function onAbort(): void {
    socket.destroy()
  }
  signal?.addEventListener('abort', onAbort)
  try {
    await Promise.race([ready, lost])
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  } finally {
    signal?.removeEventListener('abort', onAbort)
  }
  return {
    client,
    lost,
    async cut() {
      client.end()
      socket.destroy()
      await closed
    }
  }
}

function explain(
  cause: Error & { level?: string; code?: string },
  target: SshTarget,
  keys: string,
  timeoutMs: number
): OperatorError {
  const { host, port, user } = target
  switch (cause.code ?? '') {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new OperatorError(
        'tap-host-not-found',
        `The host ${host} has no address.`,
        'Check its spelling and the name service, or write its address.',
        { cause }
      )
    case 'ECONNREFUSED':
      return new OperatorError(
        'tap-refused',
        `${host} refuses connections on port ${port}.`,
        'Check that sshd runs there, and on that port: ssh://user@host:port/interface.',
        { cause }
      )
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ETIMEDOUT':
      return new OperatorError(
        'tap-unreachable',
        `${host} cannot be reached (${cause.code}).`,
        'Check that it is up, and the route to it.',
        { cause }
      )
    default:
      break
  }
  switch (cause.level ?? '') {
    case 'client-timeout':
      if (cause.message === 'Keepalive timeout') break
      return new OperatorError(
        'tap-timeout',
        `${host} did not let us in within ${timeoutMs / 1000} s.`,
        'Check that it is up, that the port is that of sshd, and that no firewall drops the packets.',
        { cause }
      )
    case 'client-authentication':
      return new OperatorError(
        'tap-login',
        `${host} does not let ${user} in by ${keys}.`,
        `Put the public key there: ssh-copy-id -i KEY.pub -p ${port} ${user}@${host}`,
        { cause }
      )
    case 'handshake':
      return new OperatorError(
        'tap-handshake',
        `${host} and we share no way to talk SSH: ${cause.message}.`,
        'Bring its sshd up to date; keys and ciphers by SHA-1 are not accepted.',
        { cause }
      )
    case 'protocol':
      return new OperatorError(
        'tap-handshake',
        `What listens on ${host} port ${port} does not talk SSH: ${cause.message}.`,
        'Check the port: ssh://user@host:port/interface.',
        { cause }
      )
    default:
      break
  }
  return new OperatorError('tap-connection-lost', `The SSH connection to ${host} broke: ${cause.message}.`, undefined, {
    cause
  })
}
