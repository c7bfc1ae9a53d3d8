// Being told to stop: the first signal asks, the second one insists.

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Aborts at the first SIGINT, SIGTERM or SIGHUP; at the second the process ends at once with 2. */
export function stopSignal (): AbortSignal {
  const controller = new AbortController()
  const onSignal = (signal: string): void => {
    if (controller.signal.aborted) process.exit(2)
    controller.abort(signal)
  }
  for (const signal of SIGNALS) process.on(signal, onSignal)
  return controller.signal
}

/** Resolves when `signal` is aborted. */
export function aborted (signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
