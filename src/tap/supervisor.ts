// Keeps a live tap open: forwards its bytes, and reopens it with exponential backoff when it fails.

import { setTimeout as sleep } from 'node:timers/promises'
import { OperatorError } from '../errors.js'
import type { OpenTap, CaptureOptions, TapSession, TapSummary } from '../types.js'

/**
 * Events of the supervisor. An `OperatorError` from `onBytes` reports an invalid capture and ends the session. Any
 * other error from a handler ends the supervisor; `close` rethrows it.
 */
export interface TapHandlers {
  /** A session started: the next byte is the first of a new capture, including its header. */
  onUp(): void
  /** Bytes of the session. If a promise is returned, reading pauses until it resolves. */
  onBytes(chunk: Buffer): void | Promise<void>
  /** An attempt failed or a session ended; the next attempt is in `retryMs`. */
  onDown(reason: OperatorError, retryMs: number, summary: TapSummary): void
}

/** Clock and random source, replaceable in tests. */
export interface SupervisorTiming {
  /** Milliseconds of a monotonic clock. */
  now(): number
  /** Rejects when the signal is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
  /** A number in [0, 1). */
  random(): number
}

/** A supervised tap. */
export interface SupervisedTap {
  /** Stops the tap after its last bytes were forwarded. Safe to call twice. */
  close(): Promise<TapSummary>
}

const SHORTEST_RETRY_MS = 1_000
const LONGEST_RETRY_MS = 60_000

/** After a session of this length, the backoff starts again. */
const STABLE_SESSION_MS = 60_000

/** Errors that do not resolve by waiting, or whose repetition may look like an attack: retried at the longest delay. */
const NEEDS_OPERATOR =
  /^tap-(target|port|snap-length|fingerprint|known-hosts|host-key-.*|identity|login|sudo|not-permitted|tcpdump-missing|exec|shell)$/

const realTiming: SupervisorTiming = {
  now: () => performance.now(),
  sleep: async (ms, signal) => {
    await sleep(ms, undefined, { signal })
  },
  random: Math.random
}

/** Whether an error persists until the operator fixes its cause. */
export function needsOperator(error: OperatorError): boolean {
  return NEEDS_OPERATOR.test(error.code)
}

/** Opens a live tap and keeps it open until `close`. Do not use it for files: it would read them repeatedly. */
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
      const startedAt = timing.now()
      const reason = await runSession()
      if (isStopping()) break
      if (timing.now() - startedAt >= STABLE_SESSION_MS) failures = 0
      const retryMs = retryDelay(failures, reason, timing.random())
      handlers.onDown(reason, retryMs, summary)
      // Rejects only when stopping, which ends the loop.
      await timing.sleep(retryMs, signal).catch(() => {})
    }
    return summary
  }

  /** Runs one session. Resolves with the reason why it ended or failed to start. */
  async function runSession(): Promise<OperatorError> {
    summary = {}
    try {
      session = await open({ ...options, signal })
    } catch (error) {
      return asOperatorError(error)
    }
    try {
      // The tap may have opened despite the abort signal; `close` did not close this session.
      if (signal.aborted) return unexpectedEnd()
      handlers.onUp()
      return await forward(session.bytes)
    } finally {
      summary = await session.close()
      session = undefined
    }
  }

  async function forward(bytes: AsyncIterable<string | Buffer>): Promise<OperatorError> {
    const chunks = bytes[Symbol.asyncIterator]()
    for (;;) {
      let next: IteratorResult<string | Buffer>
      try {
        next = await chunks.next()
      } catch (error) {
        return asOperatorError(error)
      }
      if (next.done === true) return unexpectedEnd()
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
  const delay = needsOperator(reason) ? LONGEST_RETRY_MS : SHORTEST_RETRY_MS * 2 ** failures
  // Random jitter of 50 to 100 %, so that many gateways do not retry simultaneously.
  return Math.round(Math.min(delay, LONGEST_RETRY_MS) * (0.5 + random / 2))
}

function unexpectedEnd(): OperatorError {
  return new OperatorError('tap-ended', 'The tap ended unexpectedly.')
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
