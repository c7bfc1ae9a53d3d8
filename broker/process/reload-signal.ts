// SIGHUP: reloads the settings.

/**
 * Calls a handler for each SIGHUP, one call at a time, so that the settings of the latest signal win. Signals that
 * arrive before the handler is set are deferred.
 */
export class ReloadSignal {
  #start: () => void = () => {}
  #latest = new Promise<void>(resolve => {
    this.#start = resolve
  })
  #reload: () => Promise<void> = async () => {}

  /** Installs the signal handler: from now on, SIGHUP does not end the process. */
  constructor() {
    process.on('SIGHUP', () => {
      this.#latest = this.#latest.then(async () => {
        await this.#reload()
      })
    })
  }

  /** Sets the handler. */
  setHandler(reload: () => Promise<void>): void {
    this.#reload = reload
    this.#start()
  }

  /** Ignores further signals; resolves when a running reload has finished. */
  async close(): Promise<void> {
    this.#reload = async () => {}
    await this.#latest
  }
}
