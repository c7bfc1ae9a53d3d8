// Being told to stop: the first signal asks, the second one insists.

/** What ends a command: Ctrl-C, kill, and a terminal that is closed. */
const ENDINGS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP']

/** One Ctrl-C arrives twice under npm: from the terminal, and passed on by npm. Nobody insists so soon. */
const SAME_SIGNAL_MS = 300

/** How many have something to finish first. */
const finishing = new Set<symbol>()

/**
 * Ends the program with 0 at a signal while nobody has something to finish: while it loads, and in commands that only
 * look.
 */
export function exitOnSignal(): void {
  for (const signal of ['SIGINT', 'SIGTERM'])
    process.on(signal, () => {
      if (finishing.size === 0) process.exit(0)
    })
}

/** Says that a signal does not end the program by itself, until what is returned is called. */
export function deferExit(): () => void {
  const one = Symbol('finishing')
  finishing.add(one)
  return () => {
    finishing.delete(one)
  }
}

/**
 * Aborts at the first of the signals; at the second the process ends at once with 2.
 *
 * @param now milliseconds of a steady clock
 */
export function stopSignal(signals = ENDINGS, now?: () => number): AbortSignal {
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
 * Runs something that a signal may end; ended so, it ends without an error. The second signal ends the
 * process at once with 2.
 */
export async function untilStopped(run: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const { signal, dispose } = listen(ENDINGS)
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
  const finished = deferExit()
  let askedAt = 0
  const onSignal = (signal: string): void => {
    if (!controller.signal.aborted) {
      askedAt = now()
      controller.abort(signal)
    } else if (now() - askedAt > SAME_SIGNAL_MS) process.exit(2)
  }
  for (const signal of signals) process.on(signal, onSignal)
  return {
    signal: controller.signal,
    dispose: () => {
      for (const signal of signals) process.off(signal, onSignal)
      finished()
    }
  }
}
