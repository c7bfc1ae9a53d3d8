// What is wrong in a configuration, all of it at once, each with its place and what would be right.

import { OperatorError } from '../../src/errors.js'
import { MAX_PATH_LENGTH, printable } from '../terminal/printable.js'

/** One thing that is wrong. */
export interface ConfigIssue {
  /** `artemis.yaml:12` or `--port`. */
  place: string
  /** `listeners[0].port`; empty for the file as a whole. */
  key: string
  /** What was found, and what would be right in its place. */
  problem: string
}

const EXAMPLE = 'artemis.example.yaml shows every setting with its default; `artemis check` shows what is in force.'

/** All mistakes as one error, `config`. */
export function configError(mistakes: readonly ConfigIssue[], remedy = EXAMPLE): OperatorError {
  const lines = mistakes.map(
    ({ place, key, problem }) =>
      `  ${[printable(place, MAX_PATH_LENGTH), printable(key), problem].filter(part => part !== '').join(': ')}`
  )
  const count = mistakes.length === 1 ? 'There is a mistake' : `There are ${mistakes.length} mistakes`
  return new OperatorError('config', `${count} in the configuration:\n${lines.join('\n')}`, remedy)
}

/** A value as it may be shown: one line, no controls, no password. */
export function displayed(value: unknown): string {
  if (typeof value === 'string') return printable(JSON.stringify(value))
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object' && value !== null) return 'a map'
  return printable(String(value))
}
