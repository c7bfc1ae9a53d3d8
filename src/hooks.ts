// Installs hooks in a broker and removes them.

/** Hooks that replace the methods of a broker. */
export class InstalledHooks<Hooks extends object> {
  /** The replaced methods. Call them with the broker as `this`. */
  readonly original: Readonly<Hooks>
  readonly #broker: Hooks
  readonly #installed: Hooks

  constructor(broker: Hooks, installed: Hooks) {
    const names = Object.keys(installed) as (keyof Hooks)[]
    this.original = Object.fromEntries(names.map(name => [name, broker[name]])) as Hooks
    this.#broker = broker
    this.#installed = installed
    Object.assign(broker, installed)
  }

  /** Restores the original methods. Skips a method that was replaced since. */
  remove(): void {
    for (const name of Object.keys(this.#installed) as (keyof Hooks)[])
      if (this.#broker[name] === this.#installed[name]) this.#broker[name] = this.original[name]
  }
}
