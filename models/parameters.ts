// Parameters of the detectors: defaults, ranges and descriptions for the help.

import { DetectorError } from './detector.js'

/** One parameter: a number in [min, max], one of `choices`, or either. */
export interface Parameter {
  /** Short description. */
  readonly about: string
  readonly default: number | string
  readonly min?: number
  readonly max?: number
  readonly integer?: boolean
  readonly choices?: readonly string[]
}

/** One row per field of the options type `T`. */
export type ParameterTable<T> = Readonly<Record<keyof T & string, Parameter>>

/** Parameters of all detectors. */
export interface DetectorOptions {
  /**
   * Share of outliers assumed in the training data, in (0, 0.5].
   * @default 0.1
   */
  contamination?: number
  /**
   * Seed of all randomness, a non-negative integer.
   * @default 0
   */
  seed?: number
}

/** The rows for {@link DetectorOptions}. */
export const DETECTOR_PARAMETERS: ParameterTable<DetectorOptions> = {
  contamination: { about: 'share of outliers assumed in the training data', default: 0.1, min: 1e-6, max: 0.5 },
  seed: { about: 'random seed', default: 0, min: 0, max: Number.MAX_SAFE_INTEGER, integer: true }
}

/**
 * Validates options and adds defaults.
 *
 * @throws DetectorError `parameter` for an unknown name or a value out of range
 */
export function resolveParameters<T extends object>(table: ParameterTable<T>, given: Partial<T>): T {
  const rows: Readonly<Record<string, Parameter>> = table
  const values = given as Record<string, unknown>
  const unknown = Object.keys(values).find(name => !Object.hasOwn(rows, name))
  if (unknown !== undefined) {
    throw new DetectorError(
      'parameter',
      `unknown parameter ${unknown}, expected one of ${Object.keys(rows).join(', ')}`
    )
  }
  const resolved = Object.entries(rows).map(([name, row]): [string, number | string] => {
    const value: unknown = values[name] ?? row.default
    if (!fits(row, value))
      throw new DetectorError(
        'parameter',
        `${name} must be ${range(row)}, not ${value === '' ? 'empty' : String(value)}`
      )
    return [name, value]
  })
  return Object.fromEntries(resolved) as T
}

function fits(row: Parameter, value: unknown): value is number | string {
  if (typeof value === 'string') return row.choices?.includes(value) ?? false
  return (
    typeof value === 'number' &&
    row.min !== undefined &&
    row.max !== undefined &&
    value >= row.min &&
    value <= row.max &&
    (row.integer !== true || Number.isInteger(value))
  )
}

function range(row: Parameter): string {
  const words = (row.choices ?? []).map(choice => `'${choice}'`)
  if (row.min !== undefined)
    words.push(`${row.integer === true ? 'an integer' : 'a number'} from ${row.min} to ${row.max}`)
  return words.join(' or ')
}
