// artemis capture: writes captured frames to a capture file.

import { open, rename, rm, stat, type FileHandle } from 'node:fs/promises'
import { Command, InvalidArgumentError } from 'commander'
import { OperatorError } from '../../src/errors.js'
import { parsePorts } from '../port-list.js'
import { deferExit } from '../process/stop-signal.js'
import { openTap, resolveTarget, type TapSettings } from '../../src/tap/catalog.js'
import { PcapRecords } from '../../src/tap/pcap-records.js'
import { formatTarget, parseTarget } from '../../src/tap/target.js'
import type { TapSession, TapSummary } from '../../src/types.js'

/** The flags, parsed. */
interface CaptureFlags {
  out: string
  duration?: number
  packets?: number
  mqttPort: number[]
  snaplen: number
  identity?: string
  knownHosts?: string
  hostKey?: string
  sudo?: boolean
}

const PROGRESS_INTERVAL_MS = 500
/** Longest delay of a timer, ms: 24 days. */
const MAX_DURATION_MS = 2 ** 31 - 1
/** tcpdump's MAXIMUM_SNAPLEN, bytes. */
const MAX_SNAP_LENGTH = 262_144
const UNITS_MS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, '': 1_000 }

/** The `capture` command. Its action throws `OperatorError`, and ends cleanly on SIGINT and SIGTERM. */
export function captureCommand(): Command {
  return new Command('capture')
    .description('capture frames from a tap to a pcap file')
    .argument('<tap>', 'ssh://user@host[:port]/interface, local:interface, file:PATH or auto')
    .requiredOption('--out <file>', 'capture file; renamed to this name when complete')
    .option('--duration <time>', 'stop after this time: 60s, 5m, 2h', parseDuration)
    .option('--packets <n>', 'stop after this many frames', parseCount)
    .option('--mqtt-port <ports>', 'TCP ports to capture', parsePorts, [1883, 8883])
    .option(
      '--snaplen <bytes>',
      'bytes kept per frame; 0 keeps whole frames, including payloads and passwords',
      parseLength,
      0
    )
    .option('--identity <file>', 'private key for ssh; default: the ssh agent and ~/.ssh/id_*')
    .option('--known-hosts <file>', 'known hosts for ssh; default: ~/.ssh/known_hosts')
    .option('--host-key <fingerprint>', 'ssh host key fingerprint (SHA256:...), instead of known hosts')
    .option('--sudo', 'run tcpdump with sudo -n')
    .action(async (tap: string, flags: CaptureFlags) => {
      await capture(tap, flags)
    })
}

async function capture(tap: string, flags: CaptureFlags): Promise<void> {
  const settings: TapSettings = {
    identityFile: flags.identity,
    passphrase: process.env.ARTEMIS_SSH_PASSPHRASE,
    knownHostsFile: flags.knownHosts,
    hostKey: flags.hostKey,
    sudo: flags.sudo
  }
  const requested = parseTarget(tap)
  const stopping = new AbortController()
  const { signal } = stopping
  const allowExit = deferExit()
  // A second signal exits at once.
  function stop(): void {
    stopping.abort()
    allowExit()
  }
  process.once('SIGINT', stop).once('SIGTERM', stop)
  try {
    const options = { ports: flags.mqttPort, snapLength: flags.snaplen, signal }
    const { target, obstacle } = await resolveTarget(requested, settings, options)
    if (target.kind === 'none') {
      throw obstacle ?? new OperatorError('tap-target', 'Cannot capture: the tap is "none".')
    }
    const file = await CaptureFile.open(flags.out)
    try {
      const session = await openTap(target, settings, options)
      say(
        `Capturing from ${formatTarget(target)} to ${flags.out} until ${stopCondition(flags, target.kind === 'file')}.`
      )
      await copy(session, file, flags, signal)
      await file.finish(flags.out)
    } catch (error) {
      if (await file.abandon()) say(`The frames captured so far are in ${file.path}.`)
      throw error
    }
  } catch (error) {
    // Interrupted before the capture started: not an error.
    if (error !== signal.reason) throw error
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop)
    allowExit()
  }
}

/** Copies whole records until the tap ends or `signal` is aborted, and then prints a summary. */
async function copy(session: TapSession, file: CaptureFile, flags: CaptureFlags, signal: AbortSignal): Promise<void> {
  const records = new PcapRecords(flags.packets)
  // Frames already captured still arrive after this.
  function stop(): void {
    void session.close()
  }
  signal.addEventListener('abort', stop)
  if (signal.aborted) stop()
  const timer = flags.duration === undefined ? undefined : setTimeout(stop, flags.duration)
  const progress = process.stderr.isTTY
    ? setInterval(() => process.stderr.write(`\r\x1b[K${count(records, file)}`), PROGRESS_INTERVAL_MS)
    : undefined
  let summary: TapSummary
  try {
    for await (const chunk of session.bytes) {
      await file.write(records.push(chunk as Buffer))
      if (records.complete) break
    }
  } finally {
    clearTimeout(timer)
    clearInterval(progress)
    signal.removeEventListener('abort', stop)
    summary = await session.close()
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
  }
  const dropped = summary.dropped === undefined ? '' : `; the kernel dropped ${summary.dropped}`
  say(`Captured ${count(records, file)}${dropped}.`)
}

function stopCondition({ packets, duration }: CaptureFlags, isFile: boolean): string {
  const ends = [isFile ? 'end of file' : 'Ctrl-C']
  if (duration !== undefined) ends.unshift(`${duration / 1_000} s`)
  if (packets !== undefined) ends.unshift(`${packets} frames`)
  return ends.join(' or ')
}

function count(records: PcapRecords, file: CaptureFile): string {
  return `${records.count} frames, ${file.size} bytes`
}

function say(text: string): void {
  process.stderr.write(`${text}\n`)
}

/** Captures may contain payloads and passwords. */
const OWNER_ONLY = 0o600

/** A file written under a temporary name and renamed when complete; devices and pipes are written directly. */
class CaptureFile {
  size = 0
  readonly #handle: FileHandle
  readonly #isSpecial: boolean

  private constructor(
    readonly path: string,
    handle: FileHandle,
    isSpecial: boolean
  ) {
    this.#handle = handle
    this.#isSpecial = isSpecial
  }

  static async open(name: string): Promise<CaptureFile> {
    const existing = await stat(name).catch(() => null)
    if (existing?.isDirectory() === true) unwritable(name)(new Error('it is a directory'))
    const isSpecial = existing !== null && !existing.isFile()
    const path = isSpecial ? name : `${name}.part`
    return new CaptureFile(path, await open(path, 'w', OWNER_ONLY).catch(unwritable(path)), isSpecial)
  }

  async write(bytes: Buffer): Promise<void> {
    await this.#handle.writeFile(bytes).catch(unwritable(this.path))
    this.size += bytes.length
  }

  async finish(name: string): Promise<void> {
    if (!this.#isSpecial) await this.#handle.sync()
    await this.#handle.close()
    if (!this.#isSpecial) await rename(this.path, name).catch(unwritable(name))
  }

  /** Closes the file and removes it if it is empty. Returns whether it still exists. */
  async abandon(): Promise<boolean> {
    await this.#handle.close()
    if (this.#isSpecial) return false
    if (this.size > 0) return true
    await rm(this.path, { force: true })
    return false
  }
}

function unwritable(path: string): (cause: NodeJS.ErrnoException) => never {
  return cause => {
    throw new OperatorError(
      'capture-out',
      `Cannot write ${path}: ${cause.code ?? cause.message}.`,
      'Check that the directory exists and is writable, and that the disk has free space.',
      { cause }
    )
  }
}

function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|)$/.exec(text)
  const ms = match === null ? NaN : Number(match[1]) * (UNITS_MS[match[2]] ?? NaN)
  if (!(ms > 0 && ms <= MAX_DURATION_MS)) throw new InvalidArgumentError('Give a time such as 60s, 5m or 2h.')
  return ms
}

function parseCount(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < 1) throw new InvalidArgumentError('Give a whole number, 1 or above.')
  return value
}

function parseLength(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value > MAX_SNAP_LENGTH)
    throw new InvalidArgumentError('Give a whole number of bytes; 0 keeps whole frames.')
  return value
}
