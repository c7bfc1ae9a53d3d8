// Parses tap targets: ssh://user@host/eth0, local:eth0, file:PATH, none, auto.

import { isIPv6 } from 'node:net'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { OperatorError } from '../errors.js'

/** tcpdump on another machine over SSH. */
export interface SshTarget {
  kind: 'ssh'
  user: string
  /** Host name or address; IPv6 without brackets. */
  host: string
  port: number
  /** Network interface on the remote machine. */
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

/** Any configurable target; `resolveTarget` resolves `auto`. */
export type TapTarget = CaptureTarget | { kind: 'none' } | { kind: 'auto' }

const SYNTAX = 'Use ssh://user@host[:port]/interface, local:interface, file:PATH, none or auto.'

// Names are used in command lines: no shell metacharacters, no leading hyphen.
const INTERFACE = /^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,31}$/
const USER = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/
const HOST = /^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})$/
const SSH = /^ssh:\/\/(?:([^@/]*)@)?(\[[^\]/]*\]|[^:@/[\]]*)(?::([^/]*))?(?:\/(.*))?$/
const DEFAULT_SSH_PORT = 22

/**
 * Parses the text form of a tap target.
 * @throws OperatorError `tap-target` with the invalid part and the correct syntax.
 */
export function parseTarget(text: string): TapTarget {
  if (text === 'none' || text === 'auto') return { kind: text }
  if (text.startsWith('ssh:')) return parseSsh(text)
  if (text.startsWith('local:')) {
    return { kind: 'local', interface: checkInterface(text, text.slice('local:'.length)) }
  }
  if (text.startsWith('file:')) {
    const path = text.slice('file:'.length)
    if (path === '') throw invalidTarget(text, 'the path is missing', 'Use file:PATH, for example file:capture.pcap.')
    return { kind: 'file', path: path.startsWith('~/') ? join(homedir(), path.slice(2)) : path }
  }
  throw invalidTarget(text, 'unknown type')
}

/** Formats a target as text that `parseTarget` can read. */
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
  if (match === null) throw invalidTarget(text, 'expected ssh://user@host[:port]/interface')
  const [, user = '', bracketed = '', portText = String(DEFAULT_SSH_PORT), name = ''] = match
  if (user.includes(':')) {
    throw new OperatorError(
      'tap-target',
      'Passwords are not supported in a tap target (ssh://user:...).',
      'Use a key: specify its file with --identity, or load it into an ssh agent.'
    )
  }
  if (!USER.test(user))
    throw invalidTarget(text, user === '' ? 'the user is missing' : `"${user}" is not a valid user name`)
  const host = bracketed.startsWith('[') ? bracketed.slice(1, -1) : bracketed
  if (!(bracketed.startsWith('[') ? isIPv6(host) : HOST.test(host))) {
    throw invalidTarget(text, host === '' ? 'the host is missing' : `"${host}" is not a valid host name or address`)
  }
  const port = Number(portText)
  if (!/^\d{1,5}$/.test(portText) || port < 1 || port > 65535) {
    throw invalidTarget(text, `"${portText}" is not a valid port`, 'Use a port from 1 to 65535.')
  }
  return { kind: 'ssh', user, host, port, interface: checkInterface(text, name) }
}

/** Whether a text is a valid network interface name, without shell metacharacters. */
export function isInterfaceName(text: string): boolean {
  return INTERFACE.test(text)
}

function checkInterface(text: string, name: string): string {
  if (name === '') {
    throw invalidTarget(
      text,
      'the interface is missing',
      'Specify a network interface, for example eth0, or any for all interfaces.'
    )
  }
  if (!isInterfaceName(name)) {
    throw invalidTarget(
      text,
      `"${name}" is not a valid interface name`,
      'A name starts with a letter or digit and has up to 32 letters, digits or _ . : @ - characters. `ip link` lists the interfaces.'
    )
  }
  return name
}

function invalidTarget(text: string, reason: string, remedy: string = SYNTAX): OperatorError {
  return new OperatorError('tap-target', `Invalid tap target "${text}": ${reason}.`, remedy)
}
