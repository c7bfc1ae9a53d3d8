// The tap of a running broker: decodes supervised capture bytes to frames in their streams.

import type { TapStatus } from '../report/status.js'
import { CaptureDecoder } from '../decode/capture.js'
import type { FragmentLimits } from '../decode/fragments.js'
import { TcpDecoder } from '../decode/tcp-decoder.js'
import { TcpStreams, type TcpStreamLimits } from '../decode/tcp-streams.js'
import { OperatorError } from '../errors.js'
import type { StreamFrame, TapSummary } from '../types.js'
import { openTap, resolveTarget, type TapSettings } from './catalog.js'
import { superviseTap, type SupervisedTap } from './supervisor.js'
import { formatTarget, parseTarget, type CaptureTarget } from './target.js'

/** Settings of a live tap. */
export interface LiveTapSettings extends TapSettings {
  target: string
  /** Bytes kept of each frame; 0 captures whole frames, any other value discards payload bytes. */
  snapLength: number
  /** Limits of the decoders. */
  limits?: { streams: Partial<TcpStreamLimits>; fragments: Partial<FragmentLimits> }
}

/** Events of the tap. */
export interface LiveTapListener {
  /** @param sameClock whether frame timestamps are from this machine's clock */
  onUp(sameClock: boolean): void
  onFrame(frame: StreamFrame): void
  /** All frames of a chunk were reported. */
  onChunk(): void
  onDown(): void
  onLog(level: 'info' | 'warn', message: string, details?: object): void
}

/** `up`: capturing. `down`: configured, but not capturing. `none`: not configured. */
export type TapState = 'up' | 'down' | 'none'

const NO_BYTES = new Uint8Array(0)

/** Opens the configured tap, and reopens it whenever it fails. */
export class LiveTap {
  #state: TapState = 'none'
  #reason: string | undefined
  #target = 'none'
  #sessions = 0
  #summary: TapSummary = {}
  #supervised: SupervisedTap | undefined
  #decoder: CaptureDecoder | undefined
  #tcp: TcpDecoder | undefined
  #streams: TcpStreams | undefined
  #frames = 0
  #stopped = false
  readonly #settings: LiveTapSettings
  readonly #ports: readonly number[]
  readonly #listener: LiveTapListener

  constructor(settings: LiveTapSettings, ports: readonly number[], listener: LiveTapListener) {
    this.#settings = settings
    this.#ports = ports
    this.#listener = listener
  }

  /**
   * Resolves the target and starts to open the tap; does not wait until it is open.
   *
   * @throws OperatorError if the target is invalid
   */
  async start(): Promise<void> {
    const options = { ports: this.#ports, snapLength: this.#settings.snapLength }
    const requested = parseTarget(this.#settings.target)
    if (requested.kind === 'file') {
      throw new OperatorError(
        'tap-target',
        `a running broker cannot tap the file ${requested.path}`,
        'Use local:INTERFACE or ssh://user@host/INTERFACE. To read a file, use "artemis replay".'
      )
    }
    const { target, decision, obstacle } = await resolveTarget(requested, this.#settings, options)
    this.#target = formatTarget(target)
    if (decision !== undefined) {
      const remedy = obstacle?.remedy
      this.#listener.onLog(obstacle === undefined ? 'info' : 'warn', decision, {
        ...(remedy !== undefined && { remedy })
      })
    }
    // The tap may have been stopped meanwhile.
    if (target.kind !== 'none' && !this.#stopped) this.#supervise(target)
  }

  /** Stops the tap. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#supervised?.close()
  }

  /** Returns the tap's part of the status. */
  status(): TapStatus {
    return {
      target: this.#target,
      state: this.#state,
      ...(this.#reason !== undefined && { reason: this.#reason }),
      sessions: this.#sessions,
      frames: this.#frames,
      ...(this.#summary.dropped !== undefined && { droppedByKernel: this.#summary.dropped }),
      ...(this.#tcp !== undefined && { fragments: this.#tcp.counters }),
      ...(this.#streams !== undefined && { streams: this.#streams.counters })
    }
  }

  #supervise(target: CaptureTarget): void {
    this.#state = 'down'
    const open = async (options: Parameters<typeof openTap>[2]): ReturnType<typeof openTap> =>
      await openTap(target, this.#settings, options)
    this.#supervised = superviseTap(
      open,
      { ports: this.#ports, snapLength: this.#settings.snapLength },
      {
        onUp: () => {
          this.#onUp(target)
        },
        onBytes: chunk => {
          this.#onBytes(chunk)
        },
        onDown: (reason, retryMs, summary) => {
          this.#onDown(reason, retryMs, summary)
        }
      }
    )
  }

  #onUp(target: CaptureTarget): void {
    const ports = new Set(this.#ports)
    const tcp = new TcpDecoder(ports, this.#settings.limits?.fragments)
    const streams = new TcpStreams(ports, this.#settings.limits?.streams)
    let number = 0
    this.#tcp = tcp
    this.#streams = streams
    this.#decoder = new CaptureDecoder(captured => {
      this.#frames++
      const frame = tcp.decode(captured, ++number)
      if (frame === null) return
      // With short headers, some payload fits into the snap length: discard it.
      if (this.#settings.snapLength > 0) frame.payload = NO_BYTES
      this.#listener.onFrame(streams.push(frame))
    })
    this.#state = 'up'
    this.#reason = undefined
    this.#sessions++
    this.#listener.onLog('info', `tap ${this.#target} is up`)
    this.#listener.onUp(target.kind === 'local')
  }

  #onBytes(chunk: Buffer): void {
    this.#decoder?.push(chunk)
    this.#listener.onChunk()
  }

  #onDown(reason: OperatorError, retryMs: number, summary: TapSummary): void {
    const wasUp = this.#state === 'up'
    this.#state = 'down'
    this.#reason = reason.message
    this.#summary = summary
    this.#listener.onLog('warn', `tap ${this.#target} is down: ${reason.message}`, {
      ...(reason.remedy !== undefined && { remedy: reason.remedy }),
      retryMs
    })
    if (wasUp) this.#listener.onDown()
  }
}
