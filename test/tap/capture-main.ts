// The capture command as a separate program, so that tests can send it signals.

import { captureCommand } from '../../broker/commands/capture.js'
import { OperatorError } from '../../src/errors.js'

try {
  await captureCommand().parseAsync()
} catch (error) {
  if (!(error instanceof OperatorError)) throw error
  process.stderr.write(`${error.code}: ${error.message}\n`)
  process.exitCode = 1
}
