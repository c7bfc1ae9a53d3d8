// Errors with a stable code: what the operator can mend, and what is nobody's mistake.

/**
 * A mistake that the operator can mend: a file that is not a capture, a refused key, a wrong value.
 * The command line prints `message` and `remedy` and exits with 1; anything else exits with 2.
 */
export class OperatorError extends Error {
  constructor(
    /** Stable, kebab-case: `tap-host-key`, `capture-not-recognised`, `config-value`. */
    readonly code: string,
    /** What is wrong and where, in one sentence. */
    message: string,
    /** What to do about it. */
    readonly remedy?: string,
    options?: ErrorOptions
  ) {
    super(message, options)
    this.name = 'OperatorError'
  }
}
