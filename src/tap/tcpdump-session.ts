// A tap session of a running tcpdump, local or remote: waits until it listens, forwards its bytes, stops it.

import { Readable } from 'node:stream'
import { OperatorError } from '../errors.js'
import type { TapSession, TapSummary } from '../types.js'
import { TcpdumpLog, type CaptureHost } from './tcpdump.js'

/** Limit for the start of tcpdump; sudo resolves host names, which can be slow. */
const LISTEN_TIMEOUT_MS = 15_000

/** Time for tcpdump to exit before it is killed. */
const CLOSE_TIMEOUT_MS = 3_000

/** A process that runs `captureScript`: a child, or a channel of an SSH connection. */
export interface CaptureProcess {
  stdin: NodeJS.WritableStream
  stdout: Readable
  stderr: Readable
  /** Resolves with the exit code after standard error ended; rejects if the connection was lost. */
  ended: Promise<number | null>
  /** Kills the process. */
  kill(): void
}

/**
 * Waits until tcpdump listens and returns its session. If this rejects, the process has exited.
 * @throws OperatorError with tcpdump's error; or the reason of `signal`.
 */
export async function openTcpdump(
  capture: CaptureProcess,
  host: CaptureHost,
  signal?: AbortSignal
): Promise<TapSession> {
  const log = new TcpdumpLog()
  const failed = capture.ended.then(exitCode => {
    throw log.explain(host, exitCode)
  })
  // Prevents an unhandled rejection before a listener is attached.
  failed.catch(() => {})
  let closing: Promise<TapSummary> | undefined

  async function end(): Promise<TapSummary> {
    capture.stdin.end()
    const timer = setTimeout(() => capture.kill(), CLOSE_TIMEOUT_MS)
    // The reason is not relevant here.
    await failed.catch(() => {})
    clearTimeout(timer)
    return log.summary
  }

  async function* relay(): AsyncGenerator<Buffer> {
    yield* capture.stdout
    if (closing === undefined) await failed
  }

  try {
    await waitForListening(capture.stderr, log, failed, host, signal)
  } catch (error) {
    await end()
    throw error
  }
  return {
    bytes: Readable.from(relay(), { objectMode: false }),
    close: () => (closing ??= end())
  }
}

function waitForListening(
  stderr: Readable,
  log: TcpdumpLog,
  failed: Promise<never>,
  host: CaptureHost,
  signal?: AbortSignal
): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () =>
        fail(
          new OperatorError(
            'tap-timeout',
            `tcpdump on ${host.name} did not start to capture within ${LISTEN_TIMEOUT_MS / 1000} s.`
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
    function settle(action: () => void): void {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      action()
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
