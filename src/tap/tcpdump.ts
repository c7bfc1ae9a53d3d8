// The one place that knows tcpdump: its arguments, its exit codes and what it writes to standard error.

import { OperatorError } from '../errors.js'
import type { CaptureOptions, TapSummary } from '../types.js'
import { isInterfaceName } from './target.js'

/**
 * Kernel buffer for frames not yet read, KiB. It is cut into slots of the snap length, so whole frames
 * take far more: at 100,000 frames a second 2 MiB of headers lost none, and 64 MiB of whole frames 1 in 1,500.
 */
const HEADERS_BUFFER_KIB = 4_096
const WHOLE_FRAMES_BUFFER_KIB = 65_536

/**
 * Snap length of whole frames: an IP packet is at most 65,535 bytes long. tcpdump's own is four times that,
 * which leaves a quarter of the slots.
 */
const WHOLE_FRAME = 65_600

/** Up to this snap length a capture counts as one of headers, bytes. */
const HEADERS_SNAP_LENGTH = 256

/** Standard error kept, characters: the end of it, where the reason and the counts stand. */
const STDERR_CAP = 8_192

/** How much of a program's complaint goes into a message, characters. */
const QUOTE_CAP = 300

const EXIT_NOT_EXECUTABLE = 126
const EXIT_NOT_FOUND = 127

const SUDO_REFUSAL =
  /(password|authentication) is required|not allowed to|not in the sudoers|must have a tty|may not run|sudo: (command )?not found/i

/** Where a capture runs, for messages and remedies. */
export interface CaptureHost {
  /** `this machine` or `user@host`. */
  name: string
  /** Network interface. */
  interface: string
  /** Run tcpdump by `sudo -n`. */
  sudo: boolean
}

/**
 * The shell command that captures to standard output until standard input ends.
 *
 * Signals do not reach a far process when a connection is cut, and nothing reaches a child when its
 * parent is killed; the end of standard input does both. So a `cat` stands guard beside tcpdump and
 * ends it by SIGTERM, after which tcpdump writes its counts; SIGINT would be lost where it comes before
 * tcpdump is ready, because a shell starts background jobs deaf to it. The exit code is tcpdump's own.
 * It is one line without single quotes, so that any login shell takes it as one quoted word.
 */
export function captureScript(place: CaptureHost, options: CaptureOptions): string {
  if (!isInterfaceName(place.interface)) {
    throw new OperatorError('tap-target', `"${place.interface}" is not an interface name.`)
  }
  if (!Number.isInteger(options.snapLength) || options.snapLength < 0) {
    throw new OperatorError(
      'tap-snap-length',
      `${options.snapLength} is not a snap length.`,
      'Give a whole number of bytes, or 0 for whole frames.'
    )
  }
  const snapLength = options.snapLength === 0 ? WHOLE_FRAME : options.snapLength
  const headersOnly = snapLength <= HEADERS_SNAP_LENGTH
  const bufferKib = headersOnly ? HEADERS_BUFFER_KIB : WHOLE_FRAMES_BUFFER_KIB
  const tcpdump = [
    place.sudo ? 'sudo -n tcpdump' : 'tcpdump',
    `-i "${place.interface}" -U -n -w - -s ${snapLength} --immediate-mode -B ${bufferKib}`,
    `"${captureFilter(options.ports)}"`
  ].join(' ')
  // A process of root takes no signal from a user; without a rule for kill it ends at the next frame, by SIGPIPE.
  const terminate = place.sudo ? 'kill $P || sudo -n kill $P' : 'kill $P'
  return [
    // tcpdump lives in sbin on many systems, which is not on the path of a user who logs in for one command.
    'export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"',
    'exec 3<&0',
    // The blank before the semicolon keeps csh from taking "!;" for its history.
    `${tcpdump} 3<&- & P=$! `,
    `{ cat <&3; ${terminate}; } >/dev/null 2>&1 & G=$! `,
    'wait $P; R=$?',
    'kill $G 2>/dev/null',
    'exit $R'
  ].join('; ')
}

/** The capture filter for TCP on the given ports, in pcap-filter(7) syntax. */
export function captureFilter(ports: readonly number[]): string {
  for (const port of ports) {
    if (!Number.isInteger(port) || port < 1 || port > 65535) {
      throw new OperatorError('tap-port', `${port} is not a TCP port.`, 'A port is a number from 1 to 65535.')
    }
  }
  if (ports.length === 0) throw new OperatorError('tap-port', 'There is no TCP port to capture.', 'Name one at least.')
  return `tcp and (${ports.map(port => `port ${port}`).join(' or ')})`
}

/** What tcpdump wrote to standard error: the end of it, up to a cap. */
export class TcpdumpLog {
  #text = ''

  /** Takes one more piece. */
  append(chunk: Buffer): void {
    this.#text = (this.#text + chunk.toString('latin1')).slice(-STDERR_CAP)
  }

  /** Whether the capture has begun. */
  get listening(): boolean {
    return /\blistening on /.test(this.#text)
  }

  /** The counts that tcpdump writes when it ends. */
  get summary(): TapSummary {
    const summary: TapSummary = {}
    const captured = /^(\d+) packets? captured/m.exec(this.#text)
    const dropped = /^(\d+) packets? dropped by kernel/m.exec(this.#text)
    if (captured !== null) summary.captured = Number(captured[1])
    if (dropped !== null) summary.dropped = Number(dropped[1])
    return summary
  }

  /** Why the capture did not begin, or ended of itself; `exitCode` is null where a signal ended it. */
  explain(place: CaptureHost, exitCode: number | null): OperatorError {
    const text = this.#text
    const { name } = place
    if (place.sudo && SUDO_REFUSAL.test(text)) {
      return new OperatorError(
        'tap-sudo',
        `On ${name}, sudo does not run tcpdump: ${this.#quote()}`,
        'Give the user a rule (visudo): USER ALL=(root) NOPASSWD: /usr/bin/tcpdump - or leave sudo out and run there: sudo setcap cap_net_raw+ep $(command -v tcpdump)'
      )
    }
    if (exitCode === EXIT_NOT_FOUND || /^sudo: tcpdump: command not found/m.test(text)) {
      return new OperatorError(
        'tap-tcpdump-missing',
        `tcpdump is not installed on ${name}, or not on its PATH.`,
        'Install it there: apt-get install tcpdump (Debian, Ubuntu, Raspberry Pi OS), dnf install tcpdump, apk add tcpdump.'
      )
    }
    if (exitCode === EXIT_NOT_EXECUTABLE || /permission|not permitted/i.test(text)) {
      return new OperatorError(
        'tap-not-permitted',
        `On ${name}, the user may not capture on ${place.interface}: ${this.#quote()}`,
        'Run there once: sudo setcap cap_net_raw+ep $(command -v tcpdump) - or add the user to the group that may run it (pcap, tcpdump or wireshark, as the system has it), or set sudo.'
      )
    }
    if (/no such device|doesn't exist|is not up|network is down/i.test(text)) {
      return new OperatorError(
        'tap-interface',
        `On ${name}, the interface ${place.interface} cannot be captured on: ${this.#quote()}`,
        'See `ip link` (or `tcpdump -D`) on that machine for the names; `any` takes all that are up.'
      )
    }
    const how = exitCode === null ? 'was killed' : `ended with exit code ${exitCode}`
    return new OperatorError('tap-ended', `tcpdump on ${name} ${how}: ${this.#quote()}`)
  }

  // The last line that is no count and no notice, free of control characters: it comes from another machine.
  #quote(): string {
    const lines = this.#text
      .split('\n')
      .map(line => line.trim())
      .filter(line => line !== '' && !/listening on |^\d+ packets? /.test(line))
    const said = lines
      .slice(-2)
      .join(' ')
      .replace(/[^\x20-\x7e]/g, '?')
    return said === '' ? 'it said nothing.' : said.slice(-QUOTE_CAP)
  }
}
