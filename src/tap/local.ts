// tcpdump on this machine, as a child that cannot outlive us.

import { spawn } from 'node:child_process'
import { finished } from 'node:stream/promises'
import { OperatorError } from '../errors.js'
import type { CaptureOptions, TapSession } from '../types.js'
import type { LocalTarget } from './target.js'
import { openTcpdump } from './tcpdump-session.js'
import { captureScript } from './tcpdump.js'

/** How the local tap is to run. */
export interface LocalSettings {
  /** Run tcpdump by `sudo -n`. */
  sudo?: boolean
}

/**
 * Captures on an interface of this machine.
 * @throws OperatorError where tcpdump is missing, not permitted, or the interface does not exist.
 */
export async function openLocal(
  target: LocalTarget,
  settings: LocalSettings,
  options: CaptureOptions
): Promise<TapSession> {
  options.signal?.throwIfAborted()
  const place = { name: 'this machine', interface: target.interface, sudo: settings.sudo ?? false }
  // A process group of its own: Ctrl-C in a terminal is for us, who then close the tap in order.
  const shell = spawn('/bin/sh', ['-c', captureScript(place, options)], { detached: true })
  // Writing to a shell that has ended is no fault: the end itself is reported.
  shell.stdin.on('error', () => {})
  const exited = new Promise<number | null>((resolve, reject) => {
    shell.once('exit', code => resolve(code))
    shell.once('error', cause =>
      reject(
        new OperatorError(
          'tap-shell',
          `tcpdump cannot be started: /bin/sh does not run here (${cause.message}).`,
          'Capture on another machine by ssh://user@host/interface instead.',
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
        endGroup(shell.pid)
        // What takes no signal from us, as sudo does not, ends by SIGPIPE at its next frame.
        shell.stdout.destroy()
        shell.stderr.destroy()
      }
    },
    place,
    options.signal
  )
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // Gone already, or all that is left belongs to root.
    if (code !== 'ESRCH' && code !== 'EPERM') throw error
  }
}
