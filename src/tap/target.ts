// What an operator writes for a tap, turned into a value: ssh://user@host/eth0, local:eth0, file:PATH, none, auto.

import { isIPv6 } from 'node:net'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { OperatorError } from '../errors.js'

/** tcpdump on another machine, reached by SSH. */
export interface SshTarget {
  kind: 'ssh'
  user: string
  /** Name or address; IPv6 without brackets. */
  host: string
  port: number
  /** Network interface at the far end. */
  interface: string
}

/** tcpdump on this machine. */
export interface LocalTarget {
  kind: 'local'
  interface: string
}

/** A capture file. */
export interface FileTarget {
  kind: 'file'
  path: string
}

/** A tap that can be opened. */
export type CaptureTarget = SshTarget | LocalTarget | FileTarget

/** Everything an operator may ask for; `auto` is decided by `resolveTarget`. */
export type TapTarget = CaptureTarget | { kind: 'none' } | { kind: 'auto' }

const FORMS = 'Write ssh://user@host[:port]/interface, local:interface, file:PATH, none or auto.'

// Names go into command lines: letters that mean something to a shell or begin an option are out.
const INTERFACE = /^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,31}$/
const USER = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/
const HOST = /^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})$/
const SSH = /^ssh:\/\/(?:([^@/]*)@)?(\[[^\]/]*\]|[^:@/[\]]*)(?::([^/]*))?(?:\/(.*))?$/
const DEFAULT_SSH_PORT = 22

/**
 * Parses the text form of a tap.
 * @throws OperatorError `tap-target`, saying which part is wrong and what would be right.
 */
export function parseTarget(text: string): TapTarget {
  if (text === 'none' || text === 'auto') return { kind: text }
  if (text.startsWith('ssh:')) return parseSsh(text)
  if (text.startsWith('local:')) {
    return { kind: 'local', interface: checkInterface(text, text.slice('local:'.length)) }
  }
  if (text.startsWith('file:')) {
    const path = text.slice('file:'.length)
    if (path === '') throw wrong(text, 'the path is missing', 'Write file:PATH, for example file:capture.pcap.')
    return { kind: 'file', path: path.startsWith('~/') ? join(homedir(), path.slice(2)) : path }
  }
  throw wrong(text, 'it begins like none of them')
}

/** The text form of a target, as `parseTarget` reads it. */
export function formatTarget(target: TapTarget): string {
  switch (target.kind) {
    case 'ssh': {
      const host = target.host.includes(':') ? `[${target.host}]` : target.host
      const port = target.port === DEFAULT_SSH_PORT ? '' : `:${target.port}`
      return `ssh://${target.user}@${host}${port}/${target.interface}`
    }
    case 'local':
      return `local:${target.interface}`
    case 'file':
      return `file:${target.path}`
    case 'none':
    case 'auto':
      return target.kind
  }
}

function parseSsh(text: string): SshTarget {
  const match = SSH.exec(text)
  if (match === null) throw wrong(text, 'it is not of the form ssh://user@host[:port]/interface')
  const [, user = '', bracketed = '', portText = String(DEFAULT_SSH_PORT), name = ''] = match
  if (user.includes(':')) {
    throw new OperatorError(
      'tap-target',
      'A tap never takes a password (ssh://user:...).',
      'Use a key: name its file with --identity, or load it into an ssh agent.'
    )
  }
  if (!USER.test(user)) throw wrong(text, user === '' ? 'the user is missing' : `"${user}" is not a user name`)
  const host = bracketed.startsWith('[') ? bracketed.slice(1, -1) : bracketed
  if (!(bracketed.startsWith('[') ? isIPv6(host) : HOST.test(host))) {
    throw wrong(text, host === '' ? 'the host is missing' : `"${host}" is not a host name or address`)
  }
  const port = Number(portText)
  if (!/^\d{1,5}$/.test(portText) || port < 1 || port > 65535) {
    throw wrong(text, `"${portText}" is not a port`, 'A port is a number from 1 to 65535.')
  }
  return { kind: 'ssh', user, host, port, interface: checkInterface(text, name) }
}

/** Whether a text can be the name of a network interface: nothing that means something to a shell. */
export function isInterfaceName(text: string): boolean {
  return INTERFACE.test(text)
}

function checkInterface(text: string, name: string): string {
  if (name === '') {
    throw wrong(text, 'the interface is missing', 'Name a network interface, for example eth0, or any for all of them.')
  }
  if (!isInterfaceName(name)) {
    throw wrong(
      text,
      `"${name}" is not an interface name`,
      'A name begins with a letter or digit, has up to 32 letters, digits and the signs _ . : @ -; `ip link` lists them.'
    )
  }
  return name
}

function wrong(text: string, reason: string, remedy: string = FORMS): OperatorError {
  return new OperatorError('tap-target', `"${text}" is not a tap: ${reason}.`, remedy)
}
