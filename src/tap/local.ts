// Runs tcpdump on this machine as a child process that ends with this process.

import { spawn } from 'node:child_process'
import { finished } from 'node:stream/promises'
import { OperatorError } from '../errors.js'
import type { CaptureOptions, TapSession } from '../types.js'
import type { LocalTarget } from './target.js'
import { openTcpdump } from './tcpdump-session.js'
import { captureScript } from './tcpdump.js'

/** Settings of a local tap. */
export interface LocalSettings {
  /** Run tcpdump with `sudo -n`. */
  sudo?: boolean
}

/**
 * Captures on an interface of this machine.
 * @throws OperatorError if tcpdump is missing or not permitted, or the interface does not exist.
 */
export async function openLocal(
  target: LocalTarget,
  settings: LocalSettings,
  options: CaptureOptions
): Promise<TapSession> {
  options.signal?.throwIfAborted()
  const host = { name: 'this machine', interface: target.interface, sudo: settings.sudo ?? false }
  // Own process group, so that Ctrl-C in a terminal does not reach tcpdump: this process closes the tap cleanly.
  const shell = spawn('/bin/sh', ['-c', captureScript(host, options)], { detached: true })
  // Ignore write errors after the shell exits: the exit itself is reported.
  shell.stdin.on('error', () => {})
  const exited = new Promise<number | null>((resolve, reject) => {
    shell.once('exit', code => resolve(code))
    shell.once('error', cause =>
      reject(
        new OperatorError(
          'tap-shell',
          `Cannot start tcpdump: /bin/sh failed (${cause.message}).`,
          'Capture over ssh instead: ssh://user@host/interface.',
          { cause }
        )
      )
    )
  })
  const stderrRead = finished(shell.stderr)
  return await openTcpdump(
    {
      stdin: shell.stdin,
      stdout: shell.stdout,
      stderr: shell.stderr,
      ended: Promise.all([exited, stderrRead]).then(([code]) => code),
      kill() {
        killGroup(shell.pid)
        // A process of root, such as sudo, ignores our signal and ends with SIGPIPE at its next frame.
        shell.stdout.destroy()
        shell.stderr.destroy()
      }
    },
    host,
    options.signal
  )
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // It has already exited, or the remaining processes belong to root.
    if (code !== 'ESRCH' && code !== 'EPERM') throw error
  }
}
