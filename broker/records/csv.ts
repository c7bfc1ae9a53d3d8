// CSV as it comes from a file: rows with their line numbers, strictly after RFC 4180, whatever the bytes.

import { OperatorError } from '../../src/errors.js'

/** One row and where it begins. */
export interface CsvRow {
  /** From 1. */
  line: number
  fields: string[]
}

/** Characters of the longest row: a payload of 16 MiB in hex, the most that `extract` writes, and its fields. */
export const MAX_ROW_LENGTH = 33_554_432 + 65_536
/** Fields that are told apart; a row with more has this many. */
const MAX_FIELDS = 160

/** A mistake in a CSV file, as `FILE:LINE: problem`. */
export function csvMistake(file: string, line: number, problem: string, remedy: string): OperatorError {
  return new OperatorError('csv', `${file}:${line}: ${problem}`, remedy)
}

/**
 * Reads rows, some at a time: fields parted by commas, quoted where they hold commas, quotes or line
 * ends; lines end with LF or CRLF. Bytes that are no UTF-8 become U+FFFD.
 *
 * @param file names the file in messages
 * @throws OperatorError `csv` where a row is too long or its quotes do not match
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

/** Puts lines together from portions of text, and rows from lines. */
class Rows {
  /** What was read of a row that is not over. */
  #begun = ''
  /** Whether that much of it ends within quotes. */
  #quoted = false
  /** The line that the row begins on, and the one that is being read. */
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
    if (this.#quoted) throw this.#mistake('a quote is opened and not closed')
    return this.#begun === '' ? [] : [this.#row()]
  }

  #take(part: string): void {
    if (this.#begun.length + part.length > MAX_ROW_LENGTH)
      throw this.#mistake(`the row is longer than ${MAX_ROW_LENGTH} characters`)
    this.#begun += part
    // A quote within quotes is doubled, which leaves the parity as it is.
    for (let at = part.indexOf('"'); at !== -1; at = part.indexOf('"', at + 1)) this.#quoted = !this.#quoted
  }

  #row(): CsvRow {
    const text = this.#begun.endsWith('\r') ? this.#begun.slice(0, -1) : this.#begun
    this.#begun = ''
    const fields = text.includes('"') ? splitQuoted(text) : text.split(',', MAX_FIELDS)
    if (fields === undefined) throw this.#mistake('a quote stands within a field, or text follows one')
    return { line: this.#first, fields }
  }

  #mistake(problem: string): OperatorError {
    return csvMistake(
      this.#file,
      this.#first,
      problem,
      'Fields that hold commas, quotes or line ends stand in quotes, and quotes in them are doubled.'
    )
  }
}

/** The fields of a row that has quotes; undefined where they do not match. */
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
