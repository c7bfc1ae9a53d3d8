// SIGHUP: the settings shall be read again.

/**
 * Calls what is to be done for each SIGHUP, one after the other: files take their time to read, and the
 * settings of the latest must stay. Signals that come before anybody can do it wait.
 */
export class ReloadSignal {
  #begin: () => void = () => {}
  #latest = new Promise<void>(resolve => {
    this.#begin = resolve
  })
  #reload: () => Promise<void> = async () => {}

  /** From here on a SIGHUP does not end the process. */
  constructor() {
    process.on('SIGHUP', () => {
      this.#latest = this.#latest.then(async () => {
        await this.#reload()
      })
    })
  }

  /** What is to be done. */
  answer(reload: () => Promise<void>): void {
    this.#reload = reload
    this.#begin()
  }

  /** Nothing more is done; resolves when what has begun is through. */
  async close(): Promise<void> {
    this.#reload = async () => {}
    await this.#latest
  }
}
