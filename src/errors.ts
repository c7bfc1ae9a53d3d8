// Errors with a stable code: those that the operator can fix.

/**
 * An error that the operator can fix: a file that is not a capture, a rejected key, an invalid value. The command line
 * prints `message` and `remedy` and exits with 1. It exits with 2 for any other error.
 */
export class OperatorError extends Error {
  constructor(
    /** Stable, kebab-case: `tap-host-key`, `capture-not-recognised`, `config-value`. */
    readonly code: string,
    /** What failed and where, in one sentence. */
    message: string,
    /** How to fix it. */
    readonly remedy?: string,
    options?: ErrorOptions
  ) {
    super(message, options)
    this.name = 'OperatorError'
  }
}
