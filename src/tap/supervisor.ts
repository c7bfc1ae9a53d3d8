// Keeps a live tap alive: opens it, passes its bytes on, and opens it again when it dies, ever more slowly.

import { setTimeout as sleep } from 'node:timers/promises'
import { OperatorError } from '../errors.js'
import type { OpenTap, CaptureOptions, TapSession, TapSummary } from '../types.js'

/**
 * What the supervisor tells. An `OperatorError` from `onBytes` says that the bytes are no sound
 * capture, and ends the session; whatever else a handler throws ends the supervisor and is thrown by `close`.
 */
export interface TapHandlers {
  /** A session began: the next byte is the first of a new capture, header included. */
  onUp(): void
  /** Bytes of the session. Nothing more is read until a returned promise resolves. */
  onBytes(chunk: Buffer): void | Promise<void>
  /** An attempt failed or a session ended; the next attempt follows in `retryMs`. */
  onDown(reason: OperatorError, retryMs: number, summary: TapSummary): void
}

/** Time and chance, replaceable in tests. */
export interface SupervisorTiming {
  /** Milliseconds of a steady clock. */
  now(): number
  /** Rejects when the signal is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
  /** A number in [0, 1). */
  random(): number
}

/** A tap under supervision. */
export interface SupervisedTap {
  /** Ends the tap for good, after its last bytes were passed on. Safe to call twice. */
  close(): Promise<TapSummary>
}

const SHORTEST_RETRY_MS = 1_000
const LONGEST_RETRY_MS = 60_000

/** A session that lasted this long was sound: the next one is tried at once again. */
const SOUND_SESSION_MS = 60_000

/** What waiting does not heal, or what a host takes for an attack when repeated: tried at the slowest pace. */
const NEEDS_OPERATOR =
  /^tap-(target|port|snap-length|fingerprint|known-hosts|host-key-.*|identity|login|sudo|not-permitted|tcpdump-missing|exec|shell)$/

const realTiming: SupervisorTiming = {
  now: () => performance.now(),
  sleep: async (ms, signal) => {
    await sleep(ms, undefined, { signal })
  },
  random: Math.random
}

/** Whether an attempt that failed so will fail again until somebody mends it. */
export function needsOperator(error: OperatorError): boolean {
  return NEEDS_OPERATOR.test(error.code)
}

/**
 * Opens a live tap and keeps it open until `close`. A finite tap (a file) is not for this: it would be read again and
 * again.
 */
export function superviseTap(
  open: OpenTap,
  options: CaptureOptions,
  handlers: TapHandlers,
  timing: SupervisorTiming = realTiming
): SupervisedTap {
  const stopping = new AbortController()
  const { signal } = stopping
  const isStopping = (): boolean => signal.aborted
  let session: TapSession | undefined
  let summary: TapSummary = {}

  async function run(): Promise<TapSummary> {
    for (let failures = 0; !isStopping(); failures++) {
      const begun = timing.now()
      const reason = await runSession()
      if (isStopping()) break
      if (timing.now() - begun >= SOUND_SESSION_MS) failures = 0
      const retryMs = retryDelay(failures, reason, timing.random())
      handlers.onDown(reason, retryMs, summary)
      // Rejects only when we are stopping, which the loop sees.
      await timing.sleep(retryMs, signal).catch(() => {})
    }
    return summary
  }

  /** Resolves with the reason for which the session ended or did not begin. */
  async function runSession(): Promise<OperatorError> {
    summary = {}
    try {
      session = await open({ ...options, signal })
    } catch (error) {
      return asOperatorError(error)
    }
    try {
      // Where the tap opened although it was told not to, `close` has not seen this session.
      if (signal.aborted) return endedOfItself()
      handlers.onUp()
      return await passOn(session.bytes)
    } finally {
      summary = await session.close()
      session = undefined
    }
  }

  async function passOn(bytes: AsyncIterable<string | Buffer>): Promise<OperatorError> {
    const chunks = bytes[Symbol.asyncIterator]()
    for (;;) {
      let next: IteratorResult<string | Buffer>
      try {
        next = await chunks.next()
      } catch (error) {
        return asOperatorError(error)
      }
      if (next.done === true) return endedOfItself()
      try {
        await handlers.onBytes(next.value as Buffer)
      } catch (error) {
        if (error instanceof OperatorError) return error
        throw error
      }
    }
  }

  const running = run()
  return {
    async close() {
      stopping.abort()
      await session?.close()
      return await running
    }
  }
}

function retryDelay(failures: number, reason: OperatorError, random: number): number {
  const pace = needsOperator(reason) ? LONGEST_RETRY_MS : SHORTEST_RETRY_MS * 2 ** failures
  // Between half and all of it, so that many gateways do not come back in step.
  return Math.round(Math.min(pace, LONGEST_RETRY_MS) * (0.5 + random / 2))
}

function endedOfItself(): OperatorError {
  return new OperatorError('tap-ended', 'The tap ended of itself.')
}

function asOperatorError(error: unknown): OperatorError {
  if (error instanceof OperatorError) return error
  return new OperatorError(
    'tap-fault',
    `The tap failed: ${error instanceof Error ? error.message : String(error)}`,
    undefined,
    { cause: error }
  )
}
