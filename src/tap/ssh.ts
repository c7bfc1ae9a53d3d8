// Runs tcpdump on another machine over SSH; it ends there when the connection closes.

import { once } from 'node:events'
import type ssh2 from 'ssh2'
import { OperatorError } from '../errors.js'
import type { SshSettings } from './ssh-settings.js'
import type { CaptureOptions, TapSession, TapSummary } from '../types.js'
import { connectSsh, type SshConnection } from './ssh-connection.js'
import type { SshTarget } from './target.js'
import { openTcpdump } from './tcpdump-session.js'
import { captureScript, type CaptureHost } from './tcpdump.js'

/**
 * Captures on an interface of another machine.
 * @throws OperatorError for every failure, from an unknown host name to missing capture permission.
 */
export async function openSsh(target: SshTarget, settings: SshSettings, options: CaptureOptions): Promise<TapSession> {
  if (options.ports.includes(target.port)) {
    throw new OperatorError(
      'tap-port',
      `Cannot capture port ${target.port}: it carries the SSH connection itself, so each captured frame would cause another.`,
      'Remove it from the ports to capture.'
    )
  }
  const host = { name: `${target.user}@${target.host}`, interface: target.interface, sudo: settings.sudo ?? false }
  // The script needs a POSIX shell; the login shell may be another one.
  const command = `exec sh -c '${captureScript(host, options)}'`
  const connection = await connectSsh(target, settings, options.signal)
  try {
    const session = await capture(connection, command, host, options.signal)
    let closing: Promise<TapSummary> | undefined
    return {
      bytes: session.bytes,
      close: () => (closing ??= session.close().finally(() => connection.disconnect()))
    }
  } catch (error) {
    await connection.disconnect()
    throw error
  }
}

async function capture(
  { client, lost, disconnect }: SshConnection,
  command: string,
  host: CaptureHost,
  signal?: AbortSignal
): Promise<TapSession> {
  const opening = new Promise<ssh2.ClientChannel>((resolve, reject) => {
    client.exec(command, (cause, channel) => {
      if (cause === undefined) resolve(channel)
      else {
        reject(
          new OperatorError(
            'tap-exec',
            `Cannot run a command on ${host.name} (${cause.message}).`,
            'Check sshd_config for ForceCommand, and authorized_keys for restrictions before the key.',
            { cause }
          )
        )
      }
    })
  })
  const channel = await Promise.race([opening, lost])
  const exited = new Promise<number | null>(resolve => {
    channel.once('exit', (code: number | null) => resolve(code))
    channel.once('close', () => resolve(null))
  })
  const stderrRead = once(channel.stderr, 'end')
  return await openTcpdump(
    {
      stdin: channel,
      stdout: channel,
      stderr: channel.stderr,
      ended: Promise.race([Promise.all([exited, stderrRead]).then(([code]) => code), lost]),
      kill: () => {
        void disconnect()
      }
    },
    host,
    signal
  )
}
