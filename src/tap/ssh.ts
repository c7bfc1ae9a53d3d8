// tcpdump on another machine by SSH, which ends there when the connection does.

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
 * @throws OperatorError for everything between a wrong host name and a tcpdump without rights.
 */
export async function openSsh(target: SshTarget, settings: SshSettings, options: CaptureOptions): Promise<TapSession> {
  if (options.ports.includes(target.port)) {
    throw new OperatorError(
      'tap-port',
      `Port ${target.port} carries the SSH connection itself: every frame captured would make the next one.`,
      'Leave it out of the ports to capture.'
    )
  }
  const place = { name: `${target.user}@${target.host}`, interface: target.interface, sudo: settings.sudo ?? false }
  // The login shell may be any; the script is for a plain one.
  const command = `exec sh -c '${captureScript(place, options)}'`
  const connection = await connectSsh(target, settings, options.signal)
  try {
    const session = await capture(connection, command, place, options.signal)
    let closing: Promise<TapSummary> | undefined
    return {
      bytes: session.bytes,
      close: () => (closing ??= session.close().finally(() => connection.cut()))
    }
  } catch (error) {
    await connection.cut()
    throw error
  }
}

async function capture(
  { client, lost, cut }: SshConnection,
  command: string,
  place: CaptureHost,
  signal?: AbortSignal
): Promise<TapSession> {
  const opening = new Promise<ssh2.ClientChannel>((resolve, reject) => {
    client.exec(command, (cause, channel) => {
      if (cause === undefined) resolve(channel)
      else {
        reject(
          new OperatorError(
            'tap-exec',
            `${place.name} lets us in but runs no command (${cause.message}).`,
            'Look for ForceCommand in its sshd_config, and for restrictions before the key in its authorized_keys.',
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
        void cut()
      }
    },
    place,
    signal
  )
}
