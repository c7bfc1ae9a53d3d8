// Configuration errors: all issues in one error, each with its location and the expected value.

import { OperatorError } from '../../src/errors.js'
import { MAX_PATH_LENGTH, printable } from '../terminal/printable.js'

/** One error in the configuration. */
export interface ConfigIssue {
  /** `artemis.yaml:12` or `--port`. */
  place: string
  /** `listeners[0].port`; empty for the whole file. */
  key: string
  /** The value found and the value expected. */
  problem: string
}

const EXAMPLE =
  'See artemis.example.yaml for all settings and defaults, and run `artemis check` to see the effective ones.'

/** Combines all issues into one error with the code `config`. */
export function configError(issues: readonly ConfigIssue[], remedy = EXAMPLE): OperatorError {
  const lines = issues.map(
    ({ place, key, problem }) =>
      `  ${[printable(place, MAX_PATH_LENGTH), printable(key), problem].filter(part => part !== '').join(': ')}`
  )
  const count = issues.length === 1 ? 'an error' : `${issues.length} errors`
  return new OperatorError('config', `The configuration has ${count}:\n${lines.join('\n')}`, remedy)
}

/** Formats a value for messages: one line, no control characters, no password. */
export function displayed(value: unknown): string {
  if (typeof value === 'string') return printable(JSON.stringify(value))
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object' && value !== null) return 'a map'
  return printable(String(value))
}
