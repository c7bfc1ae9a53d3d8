// The SSH connection of a tap: public key authentication only, pinned host key, clear errors.

import { connect as connectTcp } from 'node:net'
import ssh2 from 'ssh2'
import { OperatorError } from '../errors.js'
import type { ConnectionSettings } from './ssh-settings.js'
import { pinHostKey } from './ssh-host-key.js'
import { readIdentity } from './ssh-identity.js'
import type { SshTarget } from './target.js'

/** An authenticated connection. */
export interface SshConnection {
  client: ssh2.Client
  /** Rejects with the reason when the connection is closed. */
  lost: Promise<never>
  /** Closes the connection immediately; resolves when it is closed. */
  disconnect: () => Promise<void>
}

const CONNECT_TIMEOUT_MS = 10_000
const KEEPALIVE_MS = 10_000
const KEEPALIVE_COUNT = 3

/**
 * Connects and logs in.
 * @throws OperatorError for every failure, from an unknown host name to a rejected key; or the reason of `signal`.
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

  // Own socket: ssh2 only half-closes its socket, so a remote end that never closes would keep it open forever.
  const socket = connectTcp({ host: target.host, port: target.port })
  const client = new ssh2.Client()
  let refusal: OperatorError | undefined
  let reason: OperatorError | undefined
  client.on('error', (error: Error & { level?: string }) => {
    // An agent error is not final: ssh2 tries the next key.
    if (error.level === 'agent') return
    reason ??= refusal ?? explain(error, target, description, readyTimeout)
    socket.destroy()
  })
  const closed = new Promise<void>(resolve => socket.once('close', () => resolve()))
  const lost = closed.then(() => {
    throw reason ?? new OperatorError('tap-connection-lost', `The SSH connection to ${target.host} was closed.`)
  })
  // Prevents an unhandled rejection; callers await it later.
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
    async disconnect() {
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
        `Cannot resolve host ${host}.`,
        'Check the host name and DNS, or use an IP address.',
        { cause }
      )
    case 'ECONNREFUSED':
      return new OperatorError(
        'tap-refused',
        `Cannot connect to ${host}:${port}: connection refused.`,
        'Check that sshd is running and listens on that port: ssh://user@host:port/interface.',
        { cause }
      )
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ETIMEDOUT':
      return new OperatorError(
        'tap-unreachable',
        `Cannot connect to ${host}:${port}: host unreachable (${cause.code}).`,
        'Check that the host is up, and the route to it.',
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
        `Connection to ${host}:${port} timed out after ${timeoutMs / 1000} s.`,
        'Check that the host is up, that sshd listens on that port, and that no firewall drops the packets.',
        { cause }
      )
    case 'client-authentication':
      return new OperatorError(
        'tap-login',
        `Cannot log in to ${host} as ${user}: the server rejected ${keys}.`,
        `Install the public key on the server: ssh-copy-id -i KEY.pub -p ${port} ${user}@${host}`,
        { cause }
      )
    case 'handshake':
      return new OperatorError(
        'tap-handshake',
        `SSH handshake with ${host} failed: ${cause.message}.`,
        'Update sshd on the server. SHA-1 keys and ciphers are not supported.',
        { cause }
      )
    case 'protocol':
      return new OperatorError(
        'tap-handshake',
        `${host}:${port} is not an SSH server: ${cause.message}.`,
        'Check the port: ssh://user@host:port/interface.',
        { cause }
      )
    default:
      break
  }
  return new OperatorError(
    'tap-connection-lost',
    `The SSH connection to ${host} was lost: ${cause.message}.`,
    undefined,
    {
      cause
    }
  )
}
