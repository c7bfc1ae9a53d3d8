// Records as lines of text: CSV and NDJSON, the two forms that `extract` writes.
import type { TrafficRecord } from '../record.js'
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

/** A writer of `format`; with `manyFiles` each record begins with its file's name. */
export function recordWriter (format: RecordFormat, manyFiles: boolean): RecordWriter {
  return format === 'csv' ? csvWriter(manyFiles) : ndjsonWriter(manyFiles)
}

function csvWriter (manyFiles: boolean): RecordWriter {
  const first = manyFiles ? ['file', 'frame', 'time'] : ['frame', 'time']
  return {
    header: `${[...first, ...NAMES].join(',')}\n`,
    line (record, file) {
      // Joined at once: a string that grows by appending is built a second time when it is written.
      const fields = NAMES.map(name => valueText(name, record.features))
      const start = `${record.frame ?? ''},${timeText(record)}`
      return `${manyFiles ? `${quoted(file)},${start}` : start},${fields.join(',')}\n`
    }
  }
}

function ndjsonWriter (manyFiles: boolean): RecordWriter {
  return {
    header: '',
    line (record, file) {
      const fields = NAMES.map(name => `"${name}":${valueJson(name, record.features)}`)
      const start = `"frame":${record.frame},"time":${timeText(record)}`
      return `{${manyFiles ? `"file":${JSON.stringify(file)},${start}` : start},${fields.join(',')}}\n`
    }
  }
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
