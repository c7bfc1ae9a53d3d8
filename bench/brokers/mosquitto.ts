// Debian's mosquitto as a child process, configured as its package does, with the in-flight window that the bench sets.

import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findProgram } from '../../test/support/programs.js'
import { freePort } from '../../test/support/free-port.js'
import { launch, type ChildBroker } from './child.js'

/** Returns the version; undefined if mosquitto is not installed. */
export function mosquittoVersion(): string | undefined {
  const said = (() => {
    try {
      return execFileSync(findProgram('mosquitto'), ['-h'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    } catch (error) {
      // mosquitto -h exits with 3.
      return String((error as { stdout?: string }).stdout)
    }
  })()
  return /version ([\d.]+)/.exec(said)?.[1]
}

/**
 * Starts mosquitto on loopback.
 *
 * @param inflightMessages size of the in-flight window to a client
 */
export async function startMosquitto(folder: string, inflightMessages: number): Promise<ChildBroker> {
  const port = await freePort()
  const config = join(folder, 'mosquitto.conf')
  writeFileSync(
    config,
    [
      `listener ${port} 127.0.0.1`,
      'allow_anonymous true',
      'set_tcp_nodelay true',
      'persistence true',
      `persistence_location ${folder}/`,
      `max_inflight_messages ${inflightMessages}`,
      'max_queued_messages 0',
      'connection_messages false',
      // Started by root, it would switch to a user that cannot write to the folder.
      'user root',
      ''
    ].join('\n')
  )
  return await launch({
    name: 'mosquitto',
    program: findProgram('mosquitto'),
    args: ['-c', config],
    portIn: log => (/ running$/m.test(log) ? port : undefined)
  })
}
