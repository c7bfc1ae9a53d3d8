// Stop signals: the first stops cleanly, the second ends the process at once.

/** The signals that stop a command: Ctrl-C, kill, and a closed terminal. */
const STOP_SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP']

/** Under npm, Ctrl-C arrives twice: from the terminal and from npm. A second signal within this time is ignored. */
const DUPLICATE_SIGNAL_MS = 300

/** Pending deferrals of the exit. */
const deferrals = new Set<symbol>()

/** Exits with 0 on a signal while the exit is not deferred: during loading, and in commands that change nothing. */
export function exitOnSignal(): void {
  for (const signal of ['SIGINT', 'SIGTERM'])
    process.on(signal, () => {
      if (deferrals.size === 0) process.exit(0)
    })
}

/** Defers the exit on signals until the returned function is called. */
export function deferExit(): () => void {
  const deferral = Symbol('deferral')
  deferrals.add(deferral)
  return () => {
    deferrals.delete(deferral)
  }
}

/**
 * Returns a signal that is aborted on the first of the given signals. On the second, the process exits at once with 2.
 *
 * @param now a monotonic clock, ms
 */
export function stopSignal(signals = STOP_SIGNALS, now?: () => number): AbortSignal {
  return listen(signals, now).signal
}

/** Resolves when `signal` is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/**
 * Runs a function that a signal may abort; an abort is not an error. On the second signal, the process exits at once
 * with 2.
 */
export async function untilStopped(run: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const { signal, dispose } = listen(STOP_SIGNALS)
  try {
    await run(signal)
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    dispose()
  }
}

function listen(
  signals: readonly NodeJS.Signals[],
  now = (): number => performance.now()
): { signal: AbortSignal; dispose: () => void } {
  const controller = new AbortController()
  const allowExit = deferExit()
  let firstAt = 0
  const onSignal = (signal: string): void => {
    if (!controller.signal.aborted) {
      firstAt = now()
      controller.abort(signal)
    } else if (now() - firstAt > DUPLICATE_SIGNAL_MS) process.exit(2)
  }
  for (const signal of signals) process.on(signal, onSignal)
  return {
    signal: controller.signal,
    dispose: () => {
      for (const signal of signals) process.off(signal, onSignal)
      allowExit()
    }
  }
}
