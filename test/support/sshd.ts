// Starts a real sshd on loopback with its own keys, for tests and the demo. The ssh files of the machine are not used.

import { spawn, spawnSync, type ChildProcess, type SpawnSyncReturns } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findProgram } from './programs.js'
import { freePort } from './free-port.js'

/** Types of host keys. */
export type HostKeyType = 'ed25519' | 'ecdsa' | 'rsa'

/** Options of the server. */
export interface SshdOptions {
  /** @default ed25519 only */
  hostKeys?: readonly HostKeyType[]
  /** Additional lines of sshd_config. */
  config?: readonly string[]
}

/** A running sshd. */
export interface Sshd {
  /** The only user that may log in: the user of this process. */
  user: string
  host: string
  port: number
  /** File of the authorised private key. */
  identityFile: string
  /** known_hosts file with all host keys of the server. */
  knownHostsFile: string
  /** Public host keys, as `type base64`. */
  hostKeys: Partial<Record<HostKeyType, string>>
  /** Stops the server; open connections are closed by their clients. */
  stop(): Promise<void>
}

const START_TIMEOUT_MS = 60_000

/** Starts an sshd with all its files in `directory`. */
export async function startSshd(directory: string, options: SshdOptions = {}): Promise<Sshd> {
  const types = options.hostKeys ?? ['ed25519']
  const identityFile = makeKey(join(directory, 'client_key'))
  const hostKeys: Sshd['hostKeys'] = {}
  for (const type of types) hostKeys[type] = publicKey(makeKey(join(directory, `host_${type}`), type))
  writeFileSync(join(directory, 'authorized_keys'), `${publicKey(identityFile)}\n`, { mode: 0o600 })
  // As root, sshd requires this directory, which the system creates only when it starts its own sshd.
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })

  const port = await freePort()
  const config = join(directory, 'sshd_config')
  writeFileSync(
    config,
    [
      `ListenAddress 127.0.0.1:${port}`,
      ...types.map(type => `HostKey ${join(directory, `host_${type}`)}`),
      `AuthorizedKeysFile ${join(directory, 'authorized_keys')}`,
      `PidFile ${join(directory, 'sshd.pid')}`,
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'PermitRootLogin prohibit-password',
      // The parents of the test's directory may belong to any user.
      'StrictModes no',
      'UsePAM no',
      'LogLevel ERROR',
      ...(options.config ?? []),
      ''
    ].join('\n')
  )
  const server = spawn(findProgram('sshd'), ['-D', '-e', '-f', config], { stdio: ['ignore', 'ignore', 'pipe'] })
  let stderr = ''
  server.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  if (!(await listens(server, port))) throw new Error(`sshd did not start: ${stderr}`)
  const knownHostsFile = join(directory, 'known_hosts')
  writeFileSync(
    knownHostsFile,
    Object.values(hostKeys)
      .map(key => `[127.0.0.1]:${port} ${key}\n`)
      .join('')
  )
  return {
    user: userInfo().username,
    host: '127.0.0.1',
    port,
    identityFile,
    knownHostsFile,
    hostKeys,
    async stop() {
      if (server.exitCode !== null || server.signalCode !== null) return
      server.kill('SIGTERM')
      await once(server, 'exit')
    }
  }
}

/** Creates a key pair, by default without a passphrase. Returns the path of the private key. */
export function makeKey(path: string, type: HostKeyType = 'ed25519', passphrase = ''): string {
  const args = ['-q', '-t', type, '-N', passphrase, '-C', '', '-f', path]
  const result = spawnSync('ssh-keygen', args) as SpawnSyncReturns<Buffer | null>
  if (result.status !== 0) throw new Error(`ssh-keygen: ${result.stderr?.toString() ?? result.error?.message}`)
  return path
}

/** Returns the public key of a key pair, as `type base64`. */
export function publicKey(privateKeyPath: string): string {
  return readFileSync(`${privateKeyPath}.pub`, 'utf8').trim()
}

async function listens(server: ChildProcess, port: number): Promise<boolean> {
  const deadline = Date.now() + START_TIMEOUT_MS
  const isRunning = (): boolean => server.exitCode === null
  while (isRunning() && Date.now() < deadline) {
    const socket = connect(port, '127.0.0.1')
    const greeted = await new Promise<boolean>(resolve => {
      socket
        .once('data', () => resolve(true))
        .on('error', () => {})
        .once('close', () => resolve(false))
    })
    socket.destroy()
    if (greeted && isRunning()) return true
    await sleep(20)
  }
  server.kill('SIGKILL')
  return false
}
