// Cases of the comparison: accepted and refused connections, with their codes.

import { execFileSync } from 'node:child_process'
import { networkInterfaces } from 'node:os'
import path from 'node:path'
import { findProgram } from '../../support/programs.js'
import type { ComparedBroker } from './compared-brokers.js'
import type { ComparedCase } from './cases.js'
import { Probe } from './probe.js'

const LOGINS: Readonly<Record<string, { username?: string; password?: string }>> = {
  nobody: {},
  right: { username: 'alice', password: 'wonder' },
  wrong: { username: 'alice', password: 'blunder' },
  empty: { username: 'alice', password: '' },
  without: { username: 'alice' },
  unknown: { username: 'mallory', password: 'wonder' },
  old: { username: 'bob', password: 'builder' }
}

/** The code for each login, with MQTT 3.1.1 and 5. */
async function codes(port: number): Promise<Record<string, unknown>> {
  const answers: Record<string, unknown> = {}
  for (const [name, login] of Object.entries(LOGINS)) {
    answers[name] = [await Probe.connack({ port, ...login }), await Probe.connack({ port, version: 5, ...login })]
  }
  return answers
}

/** Creates two users with the real mosquitto_passwd, one for each of its two hash formats. */
function withPasswords(folder: string): void {
  const passwd = (...args: string[]): void => {
    execFileSync(findProgram('mosquitto_passwd'), args, { cwd: folder, stdio: 'ignore' })
  }
  passwd('-c', '-b', 'passwords', 'alice', 'wonder')
  passwd('-H', 'sha512', '-b', 'passwords', 'bob', 'builder')
  execFileSync('chmod', ['644', path.join(folder, 'passwords')])
}

/** A non-loopback address of this machine; undefined if it has none. */
function outerAddress(): string | undefined {
  return Object.values(networkInterfaces())
    .flat()
    .find(address => address?.family === 'IPv4' && !address.internal)?.address
}

const IN = [0, 0]
const OUT = [5, 135]

export const LOGIN_CASES: readonly ComparedCase[] = [
  {
    name: 'without a configuration, only clients on this machine may connect',
    config: {},
    run: async ({ port }: ComparedBroker) => {
      const host = outerAddress()
      return { ...(await codes(port)), outside: host === undefined ? 'closed' : await Probe.connack({ port, host }) }
    },
    expected: { nobody: IN, right: IN, wrong: IN, empty: IN, without: IN, unknown: IN, old: IN, outside: 'closed' }
  },
  {
    name: 'with only a listener, nobody may connect',
    config: { conf: 'listener {port} 127.0.0.1\n' },
    run: ({ port }) => codes(port),
    expected: { nobody: OUT, right: OUT, wrong: OUT, empty: OUT, without: OUT, unknown: OUT, old: OUT }
  },
  {
    name: 'allow_anonymous without a password file accepts any username',
    config: { conf: 'listener {port} 127.0.0.1\nallow_anonymous true\n' },
    run: ({ port }) => codes(port),
    expected: { nobody: IN, right: IN, wrong: IN, empty: IN, without: IN, unknown: IN, old: IN }
  },
  {
    name: 'a password file accepts its users',
    config: { conf: 'listener {port} 127.0.0.1\npassword_file {dir}/passwords\n', prepare: withPasswords },
    run: ({ port }) => codes(port),
    expected: { nobody: OUT, right: IN, wrong: OUT, empty: OUT, without: OUT, unknown: OUT, old: IN }
  },
  {
    name: 'a password file and allow_anonymous',
    config: {
      conf: 'listener {port} 127.0.0.1\npassword_file {dir}/passwords\nallow_anonymous true\n',
      prepare: withPasswords
    },
    run: ({ port }) => codes(port),
    expected: { nobody: IN, right: IN, wrong: OUT, empty: OUT, without: OUT, unknown: OUT, old: IN }
  },
  {
    name: 'with per_listener_settings, users of one listener are unknown to the other',
    config: {
      conf: 'per_listener_settings true\nlistener {port} 127.0.0.1\nallow_anonymous true\nlistener {port2} 127.0.0.1\npassword_file {dir}/passwords\n',
      prepare: withPasswords
    },
    run: async ({ port, port2 }) => ({ one: await codes(port), two: await codes(port2) }),
    expected: {
      one: { nobody: IN, right: IN, wrong: IN, empty: IN, without: IN, unknown: IN, old: IN },
      two: { nobody: OUT, right: IN, wrong: OUT, empty: OUT, without: OUT, unknown: OUT, old: IN }
    }
  },
  {
    name: 'include_dir, comments and spaces',
    config: {
      conf: '# Comment\n\nlistener  {port}  127.0.0.1  \ninclude_dir {dir}/conf.d\n',
      files: {
        'conf.d/10-users.conf': 'password_file {dir}/passwords\r\n',
        'conf.d/20-open.conf': 'allow_anonymous 1\n',
        'conf.d/README': 'nonsense\n'
      },
      prepare: withPasswords
    },
    run: ({ port }) => codes(port),
    expected: { nobody: IN, right: IN, wrong: OUT, empty: OUT, without: OUT, unknown: OUT, old: IN }
  },
  {
    name: 'SIGHUP adds and removes users',
    config: { conf: 'listener {port} 127.0.0.1\npassword_file {dir}/passwords\n', prepare: withPasswords },
    run: async ({ port, folder, reload }) => {
      const alice = { port, username: 'alice', password: 'wonder' }
      const before = await Probe.connack(alice)
      execFileSync(findProgram('mosquitto_passwd'), ['-D', 'passwords', 'alice'], { cwd: folder })
      execFileSync(findProgram('mosquitto_passwd'), ['-b', 'passwords', 'carol', 'singer'], { cwd: folder })
      execFileSync('chmod', ['644', path.join(folder, 'passwords')])
      await reload()
      return [before, await Probe.connack(alice), await Probe.connack({ port, username: 'carol', password: 'singer' })]
    },
    expected: [0, 5, 0]
  },
  {
    name: 'max_connections counts the connections of the listener',
    config: { conf: 'listener {port} 127.0.0.1\nmax_connections 2\nallow_anonymous true\n' },
    run: async ({ port }) => {
      const [first, second] = [await Probe.connect({ port }), await Probe.connect({ port })]
      const third = await Probe.connack({ port })
      await Promise.all([first.end(), second.end()])
      return third
    },
    expected: 'closed'
  }
]
