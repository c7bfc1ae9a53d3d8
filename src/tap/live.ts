// The tap of a running broker: from supervised bytes to frames placed in their streams.

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

/** What to tap. */
export interface LiveTapSettings extends TapSettings {
  target: string
  /** 0 captures whole frames; with anything else payload bytes are discarded on arrival. */
  snapLength: number
  /** What the decoders may keep. */
  limits?: { streams: Partial<TcpStreamLimits>; fragments: Partial<FragmentLimits> }
}

/** What the tap tells. */
export interface LiveTapListener {
  /** @param sameClock whether frames are stamped by the clock of this machine */
  onUp(sameClock: boolean): void
  onFrame(frame: StreamFrame): void
  /** The frames of one chunk are told. */
  onChunk(): void
  onDown(): void
  onLog(level: 'info' | 'warn', message: string, details?: object): void
}

/** `up`: frames come. `down`: they should and do not. `none`: none are asked for. */
export type TapState = 'up' | 'down' | 'none'

const NO_BYTES = new Uint8Array(0)

/** Opens the tap that the settings name, and opens it again whenever it dies. */
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
   * Decides which tap it will be and begins to open it; does not wait for it.
   *
   * @throws OperatorError where the target is no target
   */
  async start(): Promise<void> {
    const options = { ports: this.#ports, snapLength: this.#settings.snapLength }
    const asked = parseTarget(this.#settings.target)
    if (asked.kind === 'file') {
      throw new OperatorError(
        'tap-target',
        `a running broker cannot tap the file ${asked.path}`,
        'Use local:INTERFACE or ssh://user@host/INTERFACE here, and "artemis replay" for a file.'
      )
    }
    const { target, decision, obstacle } = await resolveTarget(asked, this.#settings, options)
    this.#target = formatTarget(target)
    if (decision !== undefined) {
      const remedy = obstacle?.remedy
      this.#listener.onLog(obstacle === undefined ? 'info' : 'warn', decision, {
        ...(remedy !== undefined && { remedy })
      })
    }
    // Deciding takes a while, in which it may be over already.
    if (target.kind !== 'none' && !this.#stopped) this.#supervise(target)
  }

  /** Ends the tap for good. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#supervised?.close()
  }

  /** For the status. */
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
          this.#up(target)
        },
        onBytes: chunk => {
          this.#bytes(chunk)
        },
        onDown: (reason, retryMs, summary) => {
          this.#down(reason, retryMs, summary)
        }
      }
    )
  }

  #up(target: CaptureTarget): void {
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
      // Short headers let some payload through the snap length; nobody asked for it, so nobody keeps it.
      if (this.#settings.snapLength > 0) frame.payload = NO_BYTES
      this.#listener.onFrame(streams.push(frame))
    })
    this.#state = 'up'
    this.#reason = undefined
    this.#sessions++
    this.#listener.onLog('info', `tap ${this.#target} is up`)
    this.#listener.onUp(target.kind === 'local')
  }

  #bytes(chunk: Buffer): void {
    this.#decoder?.push(chunk)
    this.#listener.onChunk()
  }

  #down(reason: OperatorError, retryMs: number, summary: TapSummary): void {
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
