// Records as `train` and `evaluate` read them: from captures, and from the CSV or NDJSON that `extract` wrote.

import { gunzipped } from '../../src/decode/gunzip.js'
import { OperatorError } from '../../src/errors.js'
import { readRecords } from '../../src/join/capture-records.js'
import type { TrafficRecord } from '../../src/record.js'
import { nameOfInput, openInput, withFile, type CaptureInput } from './capture-input.js'
import { csvMistake } from './csv.js'
import { RECORD_CSV_OPENINGS, readRecordCsv, readRecordNdjson } from './record-csv.js'
import { RECORD_NDJSON_OPENINGS } from './record-ndjson.js'

/** How to read. */
export interface RecordInput extends CaptureInput {
  /**
   * Called instead of an error where a capture ends in mid-record or NDJSON in mid-line: what is whole before is sound.
   */
  onCutShort?: (fault: OperatorError) => void
  /** Refuses CSV and NDJSON of Table I alone, in which a model of context and payloads would see nothing but gaps. */
  needsContext?: boolean
}

const OPENING_BYTES = Math.max(...[...RECORD_CSV_OPENINGS, ...RECORD_NDJSON_OPENINGS].map(text => text.length))

/**
 * Reads the records of a file, some at a time; what the file is, its first bytes tell. Records may
 * be views of what was read: keep copies.
 *
 * @throws OperatorError where the file is neither a sound capture nor a sound CSV
 */
export async function* readRecordFile(file: string, input: RecordInput): AsyncGenerator<TrafficRecord[]> {
  const name = nameOfInput(file)
  try {
    const { head, bytes } = await peek(gunzipped(openInput(file, input)))
    const opensWith = (texts: readonly string[]): boolean =>
      texts.some(text => head.toString('latin1').startsWith(text))
    if (opensWith(RECORD_CSV_OPENINGS)) yield* sufficient(readRecordCsv(bytes, name, input.ports), name, input)
    else if (opensWith(RECORD_NDJSON_OPENINGS))
      yield* sufficient(readRecordNdjson(bytes, name, input.ports), name, input)
    else yield* readRecords(bytes, { ports: input.ports })
  } catch (error) {
    if (!(error instanceof OperatorError)) throw withFile(error, file)
    if (error.code === 'csv') throw error
    if (error.code === 'capture-not-recognised') {
      throw new OperatorError(
        error.code,
        `${name}: this is neither a capture nor a CSV of records`,
        'Give a pcap or pcapng file, gzip-compressed or not, or a CSV that "artemis extract" wrote.',
        { cause: error }
      )
    }
    if (!error.code.endsWith('-cut-short') || input.onCutShort === undefined) throw withFile(error, file)
    input.onCutShort(withFile(error, file) as OperatorError)
  }
}

/** The same records, once it is sure that they hold what is looked at. */
async function* sufficient(
  source: AsyncGenerator<TrafficRecord[]>,
  name: string,
  { needsContext = false }: RecordInput
): AsyncGenerator<TrafficRecord[]> {
  for await (const records of source) {
    if (needsContext && records.some(({ features }) => features.context === undefined)) {
      throw csvMistake(
        name,
        1,
        'there are the columns of Table I alone, and the model looks at context and payloads as well',
        'Name the capture itself, or extract it again with --features full.'
      )
    }
    yield records
  }
}

/** The first bytes, and all of them again. */
async function peek(source: AsyncGenerator<Buffer>): Promise<{ head: Buffer; bytes: AsyncGenerator<Buffer> }> {
  let head: Buffer = Buffer.alloc(0)
  let next = await source.next()
  while (next.done !== true) {
    head = head.length === 0 ? next.value : Buffer.concat([head, next.value])
    if (head.length >= OPENING_BYTES) break
    next = await source.next()
  }
  async function* again(): AsyncGenerator<Buffer> {
    if (head.length > 0) yield head
    yield* source
  }
  return { head: head.subarray(0, OPENING_BYTES), bytes: again() }
}
