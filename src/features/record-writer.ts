// Records as lines of text: CSV and NDJSON, the two forms that `extract` writes.
import type { TrafficRecord } from '../record.js'
import { CONTEXT_COLUMNS } from './context-columns.js'
import type { RecordContext } from './context.js'
import { FEATURES } from './schema.js'
import type { FeatureValues } from './schema.js'

/** Turns records into lines, line ends included. */
export interface RecordWriter {
  /** What stands before the first record: the names of the columns, or nothing. */
  readonly header: string
  /** One record; `file` is written only where the writer was made for several files. */
  line(record: TrafficRecord, file: string): string
}

/** Names of the forms. */
export type RecordFormat = 'csv' | 'ndjson'

const NANOSECONDS_PER_MICROSECOND = 1000
/** Decimals of a time: of a capture in microseconds, of one in nanoseconds, of a mean. */
const MICROSECOND_DECIMALS = 6
const NANOSECOND_DECIMALS = 9
const PICOSECOND_DECIMALS = 12

const NAMES = FEATURES.map(column => column.name)

/** What a record may be written with: Table I, or that and context and payloads, which every preset can be learnt from. */
export type RecordColumns = 'table1' | 'full'

/** Names of what `full` adds: the context columns, the payloads as `topic.parent.length.hex`, the record's number, and those of the records that it answers; lists are parted by semicolons. */
export const FULL_NAMES: readonly string[] = Object.freeze([...CONTEXT_COLUMNS.map(({ name }) => name), 'payloads', 'record', 'references'])

/** A writer of `format`; with `manyFiles` each record begins with its file's name. */
export function recordWriter (format: RecordFormat, manyFiles: boolean, columns: RecordColumns = 'table1'): RecordWriter {
  const isFull = columns === 'full'
  return format === 'csv' ? csvWriter(manyFiles, isFull) : ndjsonWriter(manyFiles, isFull)
}

function csvWriter (manyFiles: boolean, isFull: boolean): RecordWriter {
  const first = manyFiles ? ['file', 'frame', 'time'] : ['frame', 'time']
  return {
    header: `${[...first, ...NAMES, ...isFull ? FULL_NAMES : []].join(',')}\n`,
    line (record, file) {
      // Joined at once: a string that grows by appending is built a second time when it is written.
      const fields = NAMES.map(name => valueText(name, record.features))
      if (isFull) fields.push(...contextTexts(record.features.context), ...listTexts(record.features.context))
      const start = `${record.frame ?? ''},${timeText(record)}`
      return `${manyFiles ? `${quoted(file)},${start}` : start},${fields.join(',')}\n`
    }
  }
}

function ndjsonWriter (manyFiles: boolean, isFull: boolean): RecordWriter {
  return {
    header: '',
    line (record, file) {
      const fields = NAMES.map(name => `"${name}":${valueJson(name, record.features)}`)
      if (isFull) {
        contextTexts(record.features.context).forEach((text, i) => { fields.push(`"${FULL_NAMES[i]}":${text === '' ? 'null' : text}`) })
        const [payloads, number, references] = listTexts(record.features.context)
        fields.push(`"payloads":${payloads === '' ? 'null' : `"${payloads}"`}`, `"record":${number === '' ? 'null' : number}`, `"references":"${references}"`)
      }
      const start = `"frame":${record.frame},"time":${timeText(record)}`
      return `{${manyFiles ? `"file":${JSON.stringify(file)},${start}` : start},${fields.join(',')}}\n`
    }
  }
}

/** As many digits as bring the number back; empty where there is none. */
function contextTexts (context: RecordContext | undefined): string[] {
  return CONTEXT_COLUMNS.map((_, i) => {
    const value = context?.values[i] ?? NaN
    return Number.isNaN(value) ? '' : String(value)
  })
}

/** Payloads, number and references. */
function listTexts (context: RecordContext | undefined): [payloads: string, record: string, references: string] {
  if (context === undefined) return ['', '', '']
  const payloads = context.payloads?.map(({ topic, parent, length, payload }) => `${topic}.${parent}.${length}.${hex(payload)}`).join(';') ?? ''
  return [payloads, String(context.record), context.references.join(';')]
}

/** Epoch seconds with microseconds; what is finer is cut off. */
function timeText (record: TrafficRecord): string {
  const microseconds = Math.floor(record.nanoseconds / NANOSECONDS_PER_MICROSECOND)
  return `${record.seconds}.${String(microseconds).padStart(MICROSECOND_DECIMALS, '0')}`
}

function valueText (name: keyof FeatureValues, values: FeatureValues): string {
  const value = values[name]
  if (value === null) return ''
  if (typeof value === 'string') return value
  if (typeof value === 'object') return hex(value)
  return name === 'tcp_delta' || name === 'l20_avg' ? secondsText(value) : String(value)
}

function valueJson (name: keyof FeatureValues, values: FeatureValues): string {
  const value = values[name]
  if (value === null) return 'null'
  return typeof value === 'number' ? valueText(name, values) : `"${valueText(name, values)}"`
}

/** Six decimals where they say everything, else nine or twelve. */
function secondsText (seconds: number): string {
  if (Math.round(seconds * 1e6) / 1e6 === seconds) return seconds.toFixed(MICROSECOND_DECIMALS)
  return seconds.toFixed(Math.round(seconds * 1e9) / 1e9 === seconds ? NANOSECOND_DECIMALS : PICOSECOND_DECIMALS)
}

function hex (bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}

/** A CSV field (RFC 4180, section 2), quoted only where it must be. */
function quoted (text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
