// NDJSON of records, as `extract` and the record log write it, as rows of the CSV that says the same.

import { OperatorError } from '../../src/errors.js'
import { FULL_NAMES } from '../../src/features/record-writer.js'
import { FEATURES } from '../../src/features/schema.js'
import { csvMistake, MAX_ROW_LENGTH, type CsvRow } from './csv.js'

/** With what every line begins. */
export const RECORD_NDJSON_OPENINGS: readonly string[] = ['{"frame":', '{"file":']

const NAMES = ['frame', 'time', ...FEATURES.map(({ name }) => name)]
const REMEDY = 'Name a file that this version\'s "artemis extract --format ndjson" or a broker\'s report.records wrote.'
/** Decimals of a time and of a difference of times, which may be written as 1e-7. */
const TIME_DECIMALS = 6
const DIFFERENCE_DECIMALS = 12
const DIFFERENCES: readonly string[] = ['tcp_delta', 'l20_avg']

/** A field of a line. JSON may hold others: as texts they are refused like any wrong field. */
type Field = string | number | boolean | null

/**
 * Reads lines, some at a time, and gives the header of the CSV first. A record of a packet without a
 * tap has an empty `frame`. Members of other names, such as `file`, are left out.
 *
 * @param file names the file in messages
 * @throws OperatorError `csv` where a line is no record; `records-cut-short` after all others where the last line has
 *   no end
 */
export async function* readNdjsonRows(bytes: AsyncIterable<Uint8Array>, file: string): AsyncGenerator<CsvRow[]> {
  const decoder = new TextDecoder()
  let begun = ''
  let line = 0
  let names: readonly string[] | undefined
  const rowsOf = (lines: readonly string[]): CsvRow[] => {
    const rows: CsvRow[] = []
    for (const text of lines) {
      const values = parse(text, file, ++line)
      if (names === undefined) {
        names = Object.hasOwn(values, 'payloads') ? [...NAMES, ...FULL_NAMES] : NAMES
        rows.push({ line, fields: [...names] })
      }
      rows.push({ line, fields: names.map(name => textOf(name, Object.hasOwn(values, name) ? values[name] : null)) })
    }
    return rows
  }
  for await (const chunk of bytes) {
    const lines = (begun + decoder.decode(chunk, { stream: true })).split('\n')
    begun = lines.pop() ?? ''
    if (begun.length > MAX_ROW_LENGTH) throw csvMistake(file, line + 1, 'the line is too long', REMEDY)
    if (lines.length > 0) yield rowsOf(lines)
  }
  if (begun.trim() === '') return
  if (objectOf(begun) !== undefined) yield rowsOf([begun])
  else throw new OperatorError('records-cut-short', 'the last line was cut off, as a log is when the power fails')
}

function parse(text: string, file: string, line: number): Record<string, Field> {
  const values = objectOf(text)
  if (values === undefined) throw csvMistake(file, line, 'the line is no record', REMEDY)
  return values
}

function objectOf(text: string): Record<string, Field> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, Field>) : undefined
  } catch {
    return undefined
  }
}

function textOf(name: string, value: Field): string {
  if (value === null) return ''
  if (typeof value !== 'number') return String(value)
  if (name === 'time') return value.toFixed(TIME_DECIMALS)
  return DIFFERENCES.includes(name) ? value.toFixed(DIFFERENCE_DECIMALS) : String(value)
}
