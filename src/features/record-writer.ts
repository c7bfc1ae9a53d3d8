// Writes records as lines of text: CSV and NDJSON, the output formats of `extract`.
import type { TrafficRecord } from '../record.js'
import { CONTEXT_COLUMNS } from './context-columns.js'
import type { RecordContext } from './record-context.js'
import { FEATURES } from './schema.js'
import {
  LONGEST_NUMBER,
  LineBytes,
  writeAscii,
  writeBytes,
  writeHex,
  writeNumber,
  writeSeconds,
  writeTime
} from './line-bytes.js'

/** Names of the output formats. */
export type RecordFormat = 'csv' | 'ndjson'

/** Columns of the output. `table1`: Table I. `full`: also context and payloads, sufficient to learn every preset. */
export type RecordColumns = 'table1' | 'full'

/**
 * Columns that `full` adds: the context columns, the payloads as `topic.parent.length.hex`, the record's number, and
 * the numbers of the records that it refers to. Lists are separated by semicolons.
 */
export const FULL_NAMES: readonly string[] = Object.freeze([
  ...CONTEXT_COLUMNS.map(({ name }) => name),
  'payloads',
  'record',
  'references',
  'origins',
  'takeover'
])

const NAMES: readonly string[] = [...FEATURES.map(({ name }) => name), ...FULL_NAMES]
const FIRST_FULL = FEATURES.length

/** Fixed texts around the values of a line. */
interface LineFormat {
  start: Uint8Array
  beforeFrame: Uint8Array
  beforeTime: Uint8Array
  /** Text before the number of each column, before its text, and instead of both if it is missing. */
  before: readonly Uint8Array[]
  beforeText: readonly Uint8Array[]
  empty: readonly Uint8Array[]
  afterText: Uint8Array
  noFrame: Uint8Array
  end: Uint8Array
  /** Returns the file name column, if there are several files. */
  file: (name: string) => Uint8Array
  /** Maximum bytes of a line without its file name, texts and payload. */
  longest: number
}

const NO_NAME = new Uint8Array(0)

const CSV = form({
  start: '',
  keys: { frame: '', time: ',' },
  keyOf: () => ',',
  quote: '',
  empty: '',
  end: '\n',
  file: name => `${quoted(name)},`
})
const NDJSON = form({
  start: '{',
  keys: { frame: '"frame":', time: ',"time":' },
  keyOf: name => `,"${name}":`,
  quote: '"',
  empty: 'null',
  end: '}\n',
  file: name => `"file":${JSON.stringify(name)},`
})

/** Creates a writer of `format`. With `manyFiles`, each record starts with its file name. */
export function recordWriter(
  format: RecordFormat,
  manyFiles: boolean,
  columns: RecordColumns = 'table1'
): RecordWriter {
  return new RecordWriter(format, manyFiles, columns === 'full')
}

/** Formats records as lines, with line ends, and collects them until they are taken. */
export class RecordWriter {
  /** Text before the first record: the column names, or empty. */
  readonly header: string
  readonly #form: LineFormat
  readonly #out = new LineBytes()
  readonly #manyFiles: boolean
  readonly #isFull: boolean

  constructor(format: RecordFormat, manyFiles: boolean, isFull: boolean) {
    this.#manyFiles = manyFiles
    this.#isFull = isFull
    this.#form = format === 'csv' ? CSV : NDJSON
    const names = [...(manyFiles ? ['file'] : []), 'frame', 'time', ...(isFull ? NAMES : NAMES.slice(0, FIRST_FULL))]
    this.header = format === 'csv' ? `${names.join(',')}\n` : ''
  }

  /** Formats one record as a line. Do not combine with {@link write}. */
  line(record: TrafficRecord, file: string): string {
    this.write(record, file)
    return this.take().toString()
  }

  /** Returns the lines since the last call. */
  take(): Buffer {
    return this.#out.take()
  }

  /** Adds a record. `file` is only written by a writer for several files. */
  write({ frame, seconds: whole, nanoseconds, features }: TrafficRecord, file: string): void {
    const out = this.#out
    const form = this.#form
    const name = this.#manyFiles ? form.file(file) : NO_NAME
    const bytes = out.reserve(
      name.length +
        form.longest +
        lengthOf(features.src_ip) +
        lengthOf(features.dst_ip) +
        2 * lengthOf(features.mqtt_msg)
    )
    let at = writeBytes(bytes, out.length, form.start)
    at = writeBytes(bytes, at, name)
    at =
      frame === null
        ? writeBytes(bytes, at, form.noFrame)
        : writeNumber(bytes, writeBytes(bytes, at, form.beforeFrame), frame)
    at = writeTime(bytes, writeBytes(bytes, at, form.beforeTime), whole, nanoseconds)
    at = number(bytes, at, form, 0, features.packet_length)
    at = text(bytes, at, form, 1, features.src_ip)
    at = text(bytes, at, form, 2, features.dst_ip)
    at = number(bytes, at, form, 3, features.ip_len)
    at = number(bytes, at, form, 4, features.ip_df_flag)
    at = number(bytes, at, form, 5, features.ip_mf_flag)
    at = number(bytes, at, form, 6, features.ip_rb_flag)
    at = number(bytes, at, form, 7, features.ttl)
    at = number(bytes, at, form, 8, features.tcp_w_size)
    at = number(bytes, at, form, 9, features.tcp_len)
    at = number(bytes, at, form, 10, features.tcp_pdu_size)
    at = number(bytes, at, form, 11, features.tcp_ack_flag)
    at = number(bytes, at, form, 12, features.tcp_cwr_flag)
    at = number(bytes, at, form, 13, features.tcp_ecn_flag)
    at = number(bytes, at, form, 14, features.tcp_fin_flag)
    at = number(bytes, at, form, 15, features.tcp_ns_flag)
    at = number(bytes, at, form, 16, features.tcp_push_flag)
    at = number(bytes, at, form, 17, features.tcp_res_flag)
    at = number(bytes, at, form, 18, features.tcp_reset_flag)
    at = number(bytes, at, form, 19, features.tcp_syn_flag)
    at = number(bytes, at, form, 20, features.tcp_urg_flag)
    at = number(bytes, at, form, 21, features.tcp_src_port)
    at = number(bytes, at, form, 22, features.tcp_dst_port)
    at = seconds(bytes, at, form, 23, features.tcp_delta)
    at = seconds(bytes, at, form, 24, features.l20_avg)
    at = number(bytes, at, form, 25, features.mqtt_header)
    at = hex(bytes, at, form, 26, features.mqtt_msg)
    at = number(bytes, at, form, 27, features.mqtt_len)
    at = number(bytes, at, form, 28, features.mqtt_topic_len)
    at = number(bytes, at, form, 29, features.mqtt_msg_type)
    at = number(bytes, at, form, 30, features.mqtt_qos_lvl)
    out.length = this.#isFull ? at : writeBytes(bytes, at, form.end)
    if (this.#isFull) this.#writeFull(features.context)
  }

  /** Writes the columns that `full` adds, and the end of the line. */
  #writeFull(context: RecordContext | undefined): void {
    const form = this.#form
    const payloads = payloadsText(context)
    const references = listText(context?.references)
    const origins = listText(context?.origins)
    const bytes = this.#out.reserve(form.longest + lengthOf(payloads) + lengthOf(references) + lengthOf(origins))
    let at = this.#out.length
    // With as many digits as parse back to the same number.
    CONTEXT_COLUMNS.forEach((_, i) => {
      at = number(bytes, at, form, FIRST_FULL + i, numberOf(context?.values[i]))
    })
    at = text(bytes, at, form, NAMES.length - 5, payloads)
    at = number(bytes, at, form, NAMES.length - 4, context?.record ?? null)
    at = text(bytes, at, form, NAMES.length - 3, references)
    at = text(bytes, at, form, NAMES.length - 2, origins)
    at = number(bytes, at, form, NAMES.length - 1, context?.takeover ?? null)
    this.#out.length = writeBytes(bytes, at, form.end)
  }
}

// The functions below write the value of a column and the text before it at `at`, and return the end offset.

function number(bytes: Buffer, at: number, form: LineFormat, column: number, value: number | null): number {
  return value === null
    ? writeBytes(bytes, at, form.empty[column])
    : writeNumber(bytes, writeBytes(bytes, at, form.before[column]), value)
}

function seconds(bytes: Buffer, at: number, form: LineFormat, column: number, value: number | null): number {
  return value === null
    ? writeBytes(bytes, at, form.empty[column])
    : writeSeconds(bytes, writeBytes(bytes, at, form.before[column]), value)
}

function text(bytes: Buffer, at: number, form: LineFormat, column: number, value: string | null): number {
  if (value === null) return writeBytes(bytes, at, form.empty[column])
  return writeBytes(bytes, writeAscii(bytes, writeBytes(bytes, at, form.beforeText[column]), value), form.afterText)
}

function hex(bytes: Buffer, at: number, form: LineFormat, column: number, value: Uint8Array | null): number {
  if (value === null) return writeBytes(bytes, at, form.empty[column])
  return writeBytes(bytes, writeHex(bytes, writeBytes(bytes, at, form.beforeText[column]), value), form.afterText)
}

function lengthOf(value: string | Uint8Array | null): number {
  return value === null ? 0 : value.length
}

interface LineFormatTexts {
  start: string
  keys: { frame: string; time: string }
  keyOf: (name: string) => string
  quote: string
  empty: string
  end: string
  file: (name: string) => string
}

function form({ start, keys, keyOf, quote, empty, end, file }: LineFormatTexts): LineFormat {
  const before = NAMES.map(keyOf)
  return {
    start: ascii(start),
    beforeFrame: ascii(keys.frame),
    beforeTime: ascii(keys.time),
    before: before.map(ascii),
    beforeText: before.map(key => ascii(key + quote)),
    empty: before.map(key => ascii(key + empty)),
    afterText: ascii(quote),
    noFrame: ascii(keys.frame + empty),
    end: ascii(end),
    file: name => Buffer.from(file(name)),
    longest:
      [start, keys.frame, keys.time, ...before, end].join('').length +
      (NAMES.length + 2) * (LONGEST_NUMBER + 2 * quote.length)
  }
}

function ascii(text: string): Uint8Array {
  return Buffer.from(text, 'latin1')
}

function numberOf(value = NaN): number | null {
  return Number.isNaN(value) ? null : value
}

/** Returns null if there are none. */
function payloadsText(context: RecordContext | undefined): string | null {
  const payloads = context?.payloads ?? []
  return payloads.length === 0
    ? null
    : payloads
        .map(
          ({ topic, parent, length, payload }) => `${topic}.${parent}.${length}.${Buffer.from(payload).toString('hex')}`
        )
        .join(';')
}

/** Returns null if there are none. */
function listText(records: readonly number[] = []): string | null {
  return records.length === 0 ? null : records.join(';')
}

/** A CSV field (RFC 4180, section 2), quoted only if necessary. */
function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
