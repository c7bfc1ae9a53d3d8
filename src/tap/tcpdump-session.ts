// A running tcpdump as a tap session, wherever it runs: waits until it listens, passes its bytes on, ends it.

import { Readable } from 'node:stream'
import { OperatorError } from '../errors.js'
import type { TapSession, TapSummary } from '../types.js'
import { TcpdumpLog, type CaptureHost } from './tcpdump.js'

/** How long tcpdump may take until it listens; sudo looks names up, which can be slow. */
const LISTEN_TIMEOUT_MS = 15_000

/** How long tcpdump may take to end, before it is ended by force. */
const CLOSE_TIMEOUT_MS = 3_000

/** A process that runs `captureScript`: a child, or a channel of an SSH connection. */
export interface CaptureProcess {
  stdin: NodeJS.WritableStream
  stdout: Readable
  stderr: Readable
  /**
   * Resolves with the exit code once standard error is read to its end; rejects where the connection to it was lost.
   */
  ended: Promise<number | null>
  /** Ends it by force. */
  kill(): void
}

/**
 * Waits until tcpdump listens and makes a session of it. Where this rejects, the process is gone.
 * @throws OperatorError with what tcpdump said; or the reason of `signal`.
 */
export async function openTcpdump(
  capture: CaptureProcess,
  place: CaptureHost,
  signal?: AbortSignal
): Promise<TapSession> {
  const log = new TcpdumpLog()
  const failed = capture.ended.then(exitCode => {
    throw log.explain(place, exitCode)
  })
  // It has its listeners where it matters; before them it must not count as unhandled.
  failed.catch(() => {})
  let closing: Promise<TapSummary> | undefined

  async function end(): Promise<TapSummary> {
    capture.stdin.end()
    const timer = setTimeout(() => capture.kill(), CLOSE_TIMEOUT_MS)
    // That it ended is all that counts here.
    await failed.catch(() => {})
    clearTimeout(timer)
    return log.summary
  }

  async function* relay(): AsyncGenerator<Buffer> {
    yield* capture.stdout
    if (closing === undefined) await failed
  }

  try {
    await listening(capture.stderr, log, failed, place, signal)
  } catch (error) {
    await end()
    throw error
  }
  return {
    bytes: Readable.from(relay(), { objectMode: false }),
    close: () => (closing ??= end())
  }
}

function listening(
  stderr: Readable,
  log: TcpdumpLog,
  failed: Promise<never>,
  place: CaptureHost,
  signal?: AbortSignal
): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () =>
        fail(
          new OperatorError(
            'tap-timeout',
            `tcpdump on ${place.name} did not begin to capture within ${LISTEN_TIMEOUT_MS / 1000} s.`
          )
        ),
      LISTEN_TIMEOUT_MS
    )
    function onAbort(): void {
      fail(signal?.reason as Error)
    }
    function fail(reason: Error): void {
      settle(() => reject(reason))
    }
    function settle(how: () => void): void {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      how()
    }
    stderr.on('data', (chunk: Buffer) => {
      log.append(chunk)
      if (log.listening) settle(resolve)
    })
    failed.catch((error: unknown) => fail(error as Error))
    signal?.addEventListener('abort', onAbort)
    if (signal?.aborted === true) onAbort()
  })
}
