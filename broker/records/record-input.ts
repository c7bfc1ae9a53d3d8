// Reads records for `train` and `evaluate`, from captures or from CSV or NDJSON of `extract`.

import { gunzipped } from '../../src/decode/gunzip.js'
import { OperatorError } from '../../src/errors.js'
import { readRecords } from '../../src/join/capture-records.js'
import type { TrafficRecord } from '../../src/record.js'
import { nameOfInput, openInput, withFile, type CaptureInput } from './capture-input.js'
import { csvError } from './csv.js'
import { RECORD_CSV_PREFIXES, readRecordCsv, readRecordNdjson } from './record-csv.js'
import { RECORD_NDJSON_PREFIXES } from './record-ndjson.js'

/** Options for reading records. */
export interface RecordInput extends CaptureInput {
  /** Called instead of throwing if the input is truncated within a record or line. The records before are valid. */
  onTruncated?: (error: OperatorError) => void
  /** Refuses CSV and NDJSON with only Table I, because the model needs context and payloads. */
  needsContext?: boolean
}

const PREFIX_BYTES = Math.max(...[...RECORD_CSV_PREFIXES, ...RECORD_NDJSON_PREFIXES].map(text => text.length))

/**
 * Reads the records of a file in chunks. The first bytes determine the format. Records may be views of a read buffer:
 * copy what you keep.
 *
 * @throws OperatorError if the file is not a valid capture, CSV or NDJSON
 */
export async function* readRecordFile(file: string, input: RecordInput): AsyncGenerator<TrafficRecord[]> {
  const name = nameOfInput(file)
  try {
    const { head, bytes } = await peek(gunzipped(openInput(file, input)))
    const startsWithAny = (texts: readonly string[]): boolean =>
      texts.some(text => head.toString('latin1').startsWith(text))
    if (startsWithAny(RECORD_CSV_PREFIXES))
      yield* withRequiredContext(readRecordCsv(bytes, name, input.ports), name, input)
    else if (startsWithAny(RECORD_NDJSON_PREFIXES))
      yield* withRequiredContext(readRecordNdjson(bytes, name, input.ports), name, input)
    else yield* readRecords(bytes, { ports: input.ports })
  } catch (error) {
    if (!(error instanceof OperatorError)) throw withFile(error, file)
    if (error.code === 'csv') throw error
    if (error.code === 'capture-not-recognised') {
      throw new OperatorError(
        error.code,
        `${name}: not a capture, nor a CSV of records`,
        'Give a pcap or pcapng file, gzip-compressed or not, or a CSV from "artemis extract".',
        { cause: error }
      )
    }
    if (!error.code.endsWith('-cut-short') || input.onTruncated === undefined) throw withFile(error, file)
    input.onTruncated(withFile(error, file) as OperatorError)
  }
}

/** Yields the records if they have the columns that the model needs. */
async function* withRequiredContext(
  source: AsyncGenerator<TrafficRecord[]>,
  name: string,
  { needsContext = false }: RecordInput
): AsyncGenerator<TrafficRecord[]> {
  for await (const records of source) {
    if (needsContext && records.some(({ features }) => features.context === undefined)) {
      throw csvError(
        name,
        1,
        'only the columns of Table I, but the model also needs context and payloads',
        'Give the capture itself, or extract it again with --features full.'
      )
    }
    yield records
  }
}

/** Reads the first bytes. `bytes` yields all bytes, including these. */
async function peek(source: AsyncGenerator<Buffer>): Promise<{ head: Buffer; bytes: AsyncGenerator<Buffer> }> {
  let head: Buffer = Buffer.alloc(0)
  let next = await source.next()
  while (next.done !== true) {
    head = head.length === 0 ? next.value : Buffer.concat([head, next.value])
    if (head.length >= PREFIX_BYTES) break
    next = await source.next()
  }
  async function* again(): AsyncGenerator<Buffer> {
    if (head.length > 0) yield head
    yield* source
  }
  return { head: head.subarray(0, PREFIX_BYTES), bytes: again() }
}
