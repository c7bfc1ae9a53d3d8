// Reads NDJSON of `extract` or the record log as rows of the equivalent CSV.

import { OperatorError } from '../../src/errors.js'
import { FULL_NAMES } from '../../src/features/record-writer.js'
import { FEATURES } from '../../src/features/schema.js'
import { csvError, MAX_ROW_LENGTH, type CsvRow } from './csv.js'

/** First bytes of a line. */
export const RECORD_NDJSON_PREFIXES: readonly string[] = ['{"frame":', '{"file":']

const NAMES = ['frame', 'time', ...FEATURES.map(({ name }) => name)]
const REMEDY = 'Give a file from "artemis extract --format ndjson" of this version, or from report.records of a broker.'
/** Decimals of a time and of a time difference; toFixed avoids exponents such as 1e-7. */
const TIME_DECIMALS = 6
const DIFFERENCE_DECIMALS = 12
const DIFFERENCES: readonly string[] = ['tcp_delta', 'l20_avg']

/** A field of a line. Other JSON values are converted to text and refused as invalid. */
type Field = string | number | boolean | null

/**
 * Reads lines in chunks, and yields the CSV header first. `frame` is empty for a packet without a tap. Other members,
 * such as `file`, are ignored.
 *
 * @param file the file name for messages
 * @throws OperatorError `csv` if a line is not a record; `records-cut-short` after all other rows if the last line is
 *   truncated
 */
export async function* readNdjsonRows(bytes: AsyncIterable<Uint8Array>, file: string): AsyncGenerator<CsvRow[]> {
  const decoder = new TextDecoder()
  let partial = ''
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
    const lines = (partial + decoder.decode(chunk, { stream: true })).split('\n')
    partial = lines.pop() ?? ''
    if (partial.length > MAX_ROW_LENGTH) throw csvError(file, line + 1, 'line too long', REMEDY)
    if (lines.length > 0) yield rowsOf(lines)
  }
  if (partial.trim() === '') return
  if (objectOf(partial) !== undefined) yield rowsOf([partial])
  else throw new OperatorError('records-cut-short', 'the last line is truncated, for example by a power failure')
}

function parse(text: string, file: string, line: number): Record<string, Field> {
  const values = objectOf(text)
  if (values === undefined) throw csvError(file, line, 'not a record', REMEDY)
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
