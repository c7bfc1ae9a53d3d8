// Reads CSV strictly as in RFC 4180: rows with their line numbers.

import { OperatorError } from '../../src/errors.js'

/** A row and its first line. */
export interface CsvRow {
  /** From 1. */
  line: number
  fields: string[]
}

/** Maximum length of a row: a payload of 16 MiB in hex, the longest that `extract` writes, and the other fields. */
export const MAX_ROW_LENGTH = 33_554_432 + 65_536
/** Maximum number of fields; further fields are dropped. */
const MAX_FIELDS = 160

/** Creates an error for a CSV file, as `FILE:LINE: problem`. */
export function csvError(file: string, line: number, problem: string, remedy: string): OperatorError {
  return new OperatorError('csv', `${file}:${line}: ${problem}`, remedy)
}

/**
 * Reads rows in chunks. Fields are separated by commas, and quoted if they contain commas, quotes or line ends. Lines
 * end with LF or CRLF. Invalid UTF-8 becomes U+FFFD.
 *
 * @param file the file name for messages
 * @throws OperatorError `csv` if a row is too long or its quotes do not match
 */
export async function* readCsv(bytes: AsyncIterable<Uint8Array>, file: string): AsyncGenerator<CsvRow[]> {
  const decoder = new TextDecoder()
  const rows = new Rows(file)
  for await (const chunk of bytes) {
    const read = rows.push(decoder.decode(chunk, { stream: true }))
    if (read.length > 0) yield read
  }
  const read = [...rows.push(decoder.decode()), ...rows.end()]
  if (read.length > 0) yield read
}

/** Assembles rows from chunks of text. */
class Rows {
  /** Text of an incomplete row. */
  #partial = ''
  /** Whether the incomplete row ends inside quotes. */
  #quoted = false
  /** First line of the row, and the current line. */
  #first = 1
  #line = 1
  readonly #file: string

  constructor(file: string) {
    this.#file = file
  }

  push(text: string): CsvRow[] {
    const rows: CsvRow[] = []
    let start = 0
    for (;;) {
      const end = text.indexOf('\n', start)
      this.#take(end === -1 ? text.slice(start) : text.slice(start, end))
      if (end === -1) return rows
      start = end + 1
      if (this.#quoted) this.#take('\n')
      else rows.push(this.#row())
      this.#line++
      if (!this.#quoted) this.#first = this.#line
    }
  }

  end(): CsvRow[] {
    if (this.#quoted) throw this.#error('unclosed quote')
    return this.#partial === '' ? [] : [this.#row()]
  }

  #take(part: string): void {
    if (this.#partial.length + part.length > MAX_ROW_LENGTH)
      throw this.#error(`the row is longer than ${MAX_ROW_LENGTH} characters`)
    this.#partial += part
    // A quote inside quotes is doubled, so the parity stays the same.
    for (let at = part.indexOf('"'); at !== -1; at = part.indexOf('"', at + 1)) this.#quoted = !this.#quoted
  }

  #row(): CsvRow {
    const text = this.#partial.endsWith('\r') ? this.#partial.slice(0, -1) : this.#partial
    this.#partial = ''
    const fields = text.includes('"') ? splitQuoted(text) : text.split(',', MAX_FIELDS)
    if (fields === undefined) throw this.#error('a quote inside a field, or text after a closing quote')
    return { line: this.#first, fields }
  }

  #error(problem: string): OperatorError {
    return csvError(
      this.#file,
      this.#first,
      problem,
      'Quote fields that contain commas, quotes or line ends, and double the quotes in them.'
    )
  }
}

/** Splits a row that has quotes; undefined if they do not match. */
function splitQuoted(text: string): string[] | undefined {
  const fields: string[] = []
  let at = 0
  while (fields.length < MAX_FIELDS) {
    const [field, end] = text[at] === '"' ? quotedField(text, at) : plainField(text, at)
    if (field === undefined) return undefined
    fields.push(field)
    if (end === text.length) break
    if (text[end] !== ',') return undefined
    at = end + 1
  }
  return fields
}

function quotedField(text: string, at: number): [field: string | undefined, end: number] {
  let field = ''
  for (let from = at + 1; ;) {
    const quote = text.indexOf('"', from)
    if (quote === -1) return [undefined, from]
    field += text.slice(from, quote)
    if (text[quote + 1] !== '"') return [field, quote + 1]
    field += '"'
    from = quote + 2
  }
}

function plainField(text: string, at: number): [field: string | undefined, end: number] {
  const comma = text.indexOf(',', at)
  const end = comma === -1 ? text.length : comma
  const field = text.slice(at, end)
  return [field.includes('"') ? undefined : field, end]
}
