// Everything specific to tcpdump: its arguments, exit codes and standard error output.

import { OperatorError } from '../errors.js'
import type { CaptureOptions, TapSummary } from '../types.js'
import { isInterfaceName } from './target.js'

/**
 * Kernel buffer for unread frames, KiB. It is divided into slots of the snap length, so whole frames need far more: at
 * 100,000 frames per second, 2 MiB for headers lost no frames, and 64 MiB for whole frames lost 1 in 1,500.
 */
const HEADERS_BUFFER_KIB = 4_096
const WHOLE_FRAMES_BUFFER_KIB = 65_536

/**
 * Snap length of whole frames: an IP packet has at most 65,535 bytes. tcpdump's default is four times larger, which
 * would leave a quarter of the slots.
 */
const WHOLE_FRAME = 65_600

/** Largest snap length of a headers-only capture, bytes. */
const HEADERS_SNAP_LENGTH = 256

/** Characters kept of the end of standard error, which has the reason and the counts. */
const STDERR_CAP = 8_192

/** Characters of standard error quoted in a message. */
const QUOTE_CAP = 300

const EXIT_NOT_EXECUTABLE = 126
const EXIT_NOT_FOUND = 127

const SUDO_REFUSAL =
  /(password|authentication) is required|not allowed to|not in the sudoers|must have a tty|may not run|sudo: (command )?not found/i

/** The machine that captures, for messages and remedies. */
export interface CaptureHost {
  /** `this machine` or `user@host`. */
  name: string
  /** Network interface. */
  interface: string
  /** Run tcpdump with `sudo -n`. */
  sudo: boolean
}

/**
 * Returns the shell command that captures to standard output until standard input ends.
 *
 * When a connection is lost or the parent is killed, the process gets no signal, but its standard input ends. So a
 * `cat` waits for the end of standard input and stops tcpdump with SIGTERM; tcpdump then writes its counts. A SIGINT
 * sent before tcpdump is ready would be lost, because a shell starts background jobs with SIGINT ignored. The exit code
 * is that of tcpdump. The command is one line without single quotes, so that any login shell accepts it as one quoted
 * word.
 */
export function captureScript(host: CaptureHost, options: CaptureOptions): string {
  if (!isInterfaceName(host.interface)) {
    throw new OperatorError('tap-target', `Invalid interface name: "${host.interface}".`)
  }
  if (!Number.isInteger(options.snapLength) || options.snapLength < 0) {
    throw new OperatorError(
      'tap-snap-length',
      `Invalid snap length: ${options.snapLength}.`,
      'Use a whole number of bytes, or 0 for whole frames.'
    )
  }
  const snapLength = options.snapLength === 0 ? WHOLE_FRAME : options.snapLength
  const headersOnly = snapLength <= HEADERS_SNAP_LENGTH
  const bufferKib = headersOnly ? HEADERS_BUFFER_KIB : WHOLE_FRAMES_BUFFER_KIB
  const tcpdump = [
    host.sudo ? 'sudo -n tcpdump' : 'tcpdump',
    `-i "${host.interface}" -U -n -w - -s ${snapLength} --immediate-mode -B ${bufferKib}`,
    `"${captureFilter(options.ports)}"`
  ].join(' ')
  // A user cannot signal a process of root; without a sudo rule for kill, it ends with SIGPIPE at the next frame.
  const terminate = host.sudo ? 'kill $P || sudo -n kill $P' : 'kill $P'
  return [
    // On many systems tcpdump is in sbin, which is not on the PATH of a non-interactive login.
    'export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"',
    'exec 3<&0',
    // The space before the semicolon prevents csh from expanding "!;" as history.
    `${tcpdump} 3<&- & P=$! `,
    `{ cat <&3; ${terminate}; } >/dev/null 2>&1 & G=$! `,
    'wait $P; R=$?',
    'kill $G 2>/dev/null',
    'exit $R'
  ].join('; ')
}

/** Returns the capture filter for TCP on the given ports, in pcap-filter(7) syntax. */
export function captureFilter(ports: readonly number[]): string {
  for (const port of ports) {
    if (!Number.isInteger(port) || port < 1 || port > 65535) {
      throw new OperatorError('tap-port', `Invalid TCP port: ${port}.`, 'Use a port from 1 to 65535.')
    }
  }
  if (ports.length === 0) throw new OperatorError('tap-port', 'No TCP port to capture.', 'Specify at least one port.')
  return `tcp and (${ports.map(port => `port ${port}`).join(' or ')})`
}

/** The end of tcpdump's standard error, up to a limit. */
export class TcpdumpLog {
  #text = ''

  /** Appends a chunk. */
  append(chunk: Buffer): void {
    this.#text = (this.#text + chunk.toString('latin1')).slice(-STDERR_CAP)
  }

  /** Whether the capture has started. */
  get listening(): boolean {
    return /\blistening on /.test(this.#text)
  }

  /** The counts that tcpdump writes when it exits. */
  get summary(): TapSummary {
    const summary: TapSummary = {}
    const captured = /^(\d+) packets? captured/m.exec(this.#text)
    const dropped = /^(\d+) packets? dropped by kernel/m.exec(this.#text)
    if (captured !== null) summary.captured = Number(captured[1])
    if (dropped !== null) summary.dropped = Number(dropped[1])
    return summary
  }

  /** Explains why tcpdump exited; `exitCode` is null if a signal ended it. */
  explain(host: CaptureHost, exitCode: number | null): OperatorError {
    const text = this.#text
    const { name } = host
    if (host.sudo && SUDO_REFUSAL.test(text)) {
      return new OperatorError(
        'tap-sudo',
        `Cannot run tcpdump with sudo on ${name}: ${this.#quote()}`,
        'Add a sudo rule (visudo): USER ALL=(root) NOPASSWD: /usr/bin/tcpdump - or disable sudo and run there: sudo setcap cap_net_raw+ep $(command -v tcpdump)'
      )
    }
    if (exitCode === EXIT_NOT_FOUND || /^sudo: tcpdump: command not found/m.test(text)) {
      return new OperatorError(
        'tap-tcpdump-missing',
        `tcpdump not found on ${name}: not installed or not on the PATH.`,
        'Install it: apt-get install tcpdump (Debian, Ubuntu, Raspberry Pi OS), dnf install tcpdump, apk add tcpdump.'
      )
    }
    if (exitCode === EXIT_NOT_EXECUTABLE || /permission|not permitted/i.test(text)) {
      return new OperatorError(
        'tap-not-permitted',
        `No permission to capture on interface ${host.interface} of ${name}: ${this.#quote()}`,
        'Run there once: sudo setcap cap_net_raw+ep $(command -v tcpdump) - or add the user to the group that may run it (pcap, tcpdump or wireshark, depending on the system), or enable sudo.'
      )
    }
    if (/no such device|doesn't exist|is not up|network is down/i.test(text)) {
      return new OperatorError(
        'tap-interface',
        `Cannot capture on interface ${host.interface} of ${name}: ${this.#quote()}`,
        'List the interfaces there with `ip link` (or `tcpdump -D`). `any` captures on all interfaces that are up.'
      )
    }
    const how = exitCode === null ? 'was killed' : `exited with code ${exitCode}`
    return new OperatorError('tap-ended', `tcpdump on ${name} ${how}: ${this.#quote()}`)
  }

  // Quotes the last lines except counts and notices, without control characters: they may come from another machine.
  #quote(): string {
    const lines = this.#text
      .split('\n')
      .map(line => line.trim())
      .filter(line => line !== '' && !/listening on |^\d+ packets? /.test(line))
    const text = lines
      .slice(-2)
      .join(' ')
      .replace(/[^\x20-\x7e]/g, '?')
    return text === '' ? 'no error output.' : text.slice(-QUOTE_CAP)
  }
}
