// Records as lines of text: CSV and NDJSON, the two forms that `extract` writes.
import type { TrafficRecord } from '../record.js'
import { CONTEXT_COLUMNS } from './context-columns.js'
import type { RecordContext } from './context.js'
import { FEATURES } from './schema.js'
import { LineBytes, POWERS_OF_TEN } from './line-bytes.js'

/** Names of the forms. */
export type RecordFormat = 'csv' | 'ndjson'

/** What a record may be written with: Table I, or that and context and payloads, which every preset can be learnt from. */
export type RecordColumns = 'table1' | 'full'

/** Names of what `full` adds: the context columns, the payloads as `topic.parent.length.hex`, the record's number, and those of the records that it answers; lists are parted by semicolons. */
export const FULL_NAMES: readonly string[] = Object.freeze([...CONTEXT_COLUMNS.map(({ name }) => name), 'payloads', 'record', 'references', 'origins'])

const NAMES: readonly string[] = [...FEATURES.map(({ name }) => name), ...FULL_NAMES]
const FIRST_FULL = FEATURES.length

const NANOSECONDS_PER_MICROSECOND = 1000
/** Decimals of a time: of a capture in microseconds, of one in nanoseconds, of a mean. */
const MICROSECOND_DECIMALS = 6
const NANOSECOND_DECIMALS = 9
const PICOSECOND_DECIMALS = 12

/** What stands around the values of a line. */
interface Form {
  start: Uint8Array
  beforeFrame: Uint8Array
  beforeTime: Uint8Array
  /** Before the value of each column. */
  before: readonly Uint8Array[]
  quote: Uint8Array
  nothing: Uint8Array
  end: Uint8Array
}

const CSV: Form = {
  start: ascii(''), beforeFrame: ascii(''), beforeTime: ascii(','), before: NAMES.map(() => ascii(',')),
  quote: ascii(''), nothing: ascii(''), end: ascii('\n')
}
const NDJSON: Form = {
  start: ascii('{'), beforeFrame: ascii('"frame":'), beforeTime: ascii(',"time":'), before: NAMES.map(name => ascii(`,"${name}":`)),
  quote: ascii('"'), nothing: ascii('null'), end: ascii('}\n')
}

/** A writer of `format`; with `manyFiles` each record begins with its file's name. */
export function recordWriter (format: RecordFormat, manyFiles: boolean, columns: RecordColumns = 'table1'): RecordWriter {
  return new RecordWriter(format, manyFiles, columns === 'full')
}

/** Turns records into lines, line ends included, and gathers them until they are taken. */
export class RecordWriter {
  /** What stands before the first record: the names of the columns, or nothing. */
  readonly header: string
  readonly #form: Form
  readonly #out = new LineBytes()

  constructor (private readonly format: RecordFormat, private readonly manyFiles: boolean, private readonly isFull: boolean) {
    this.#form = format === 'csv' ? CSV : NDJSON
    const names = [...manyFiles ? ['file'] : [], 'frame', 'time', ...isFull ? NAMES : NAMES.slice(0, FIRST_FULL)]
    this.header = format === 'csv' ? `${names.join(',')}\n` : ''
  }

  /** One record as a line of its own. Not to be mixed with {@link write}. */
  line (record: TrafficRecord, file: string): string {
    this.write(record, file)
    return this.take().toString()
  }

  /** The lines since the last call. */
  take (): Buffer {
    return this.#out.take()
  }

  /** Adds a record; `file` is written only where the writer was made for several files. */
  write ({ frame, seconds, nanoseconds, features }: TrafficRecord, file: string): void {
    const out = this.#out
    const form = this.#form
    out.bytes(form.start)
    if (this.manyFiles) out.utf8(this.format === 'csv' ? `${quoted(file)},` : `"file":${JSON.stringify(file)},`)
    out.bytes(form.beforeFrame)
    if (frame !== null) out.integer(frame)
    else out.bytes(form.nothing)
    out.bytes(form.beforeTime)
    // Epoch seconds with microseconds; what is finer is cut off.
    out.integer(seconds)
    out.fraction(Math.floor(nanoseconds / NANOSECONDS_PER_MICROSECOND), MICROSECOND_DECIMALS)
    this.#number(0, features.packet_length)
    this.#text(1, features.src_ip)
    this.#text(2, features.dst_ip)
    this.#number(3, features.ip_len)
    this.#number(4, features.ip_df_flag)
    this.#number(5, features.ip_mf_flag)
    this.#number(6, features.ip_rb_flag)
    this.#number(7, features.ttl)
    this.#number(8, features.tcp_w_size)
    this.#number(9, features.tcp_len)
    this.#number(10, features.tcp_pdu_size)
    this.#number(11, features.tcp_ack_flag)
    this.#number(12, features.tcp_cwr_flag)
    this.#number(13, features.tcp_ecn_flag)
    this.#number(14, features.tcp_fin_flag)
    this.#number(15, features.tcp_ns_flag)
    this.#number(16, features.tcp_push_flag)
    this.#number(17, features.tcp_res_flag)
    this.#number(18, features.tcp_reset_flag)
    this.#number(19, features.tcp_syn_flag)
    this.#number(20, features.tcp_urg_flag)
    this.#number(21, features.tcp_src_port)
    this.#number(22, features.tcp_dst_port)
    this.#seconds(23, features.tcp_delta)
    this.#seconds(24, features.l20_avg)
    this.#number(25, features.mqtt_header)
    this.#hex(26, features.mqtt_msg)
    this.#number(27, features.mqtt_len)
    this.#number(28, features.mqtt_topic_len)
    this.#number(29, features.mqtt_msg_type)
    this.#number(30, features.mqtt_qos_lvl)
    if (this.isFull) this.#full(features.context)
    out.bytes(form.end)
  }

  #full (context: RecordContext | undefined): void {
    // As many digits as bring the number back.
    CONTEXT_COLUMNS.forEach((_, i) => { this.#number(FIRST_FULL + i, numberOf(context?.values[i])) })
    this.#text(NAMES.length - 4, payloadsText(context))
    this.#number(NAMES.length - 3, context?.record ?? null)
    this.#text(NAMES.length - 2, listText(context?.references))
    this.#text(NAMES.length - 1, listText(context?.origins))
  }

  #number (column: number, value: number | null): void {
    this.#out.bytes(this.#form.before[column])
    if (value === null) this.#out.bytes(this.#form.nothing)
    else this.#out.integer(value)
  }

  #text (column: number, value: string | null): void {
    this.#out.bytes(this.#form.before[column])
    if (value === null) {
      this.#out.bytes(this.#form.nothing)
      return
    }
    this.#out.bytes(this.#form.quote)
    this.#out.ascii(value)
    this.#out.bytes(this.#form.quote)
  }

  #hex (column: number, value: Uint8Array | null): void {
    this.#out.bytes(this.#form.before[column])
    if (value === null) {
      this.#out.bytes(this.#form.nothing)
      return
    }
    this.#out.bytes(this.#form.quote)
    this.#out.hex(value)
    this.#out.bytes(this.#form.quote)
  }

  /** Six decimals where they say everything, else nine or twelve. */
  #seconds (column: number, value: number | null): void {
    this.#out.bytes(this.#form.before[column])
    if (value === null) {
      this.#out.bytes(this.#form.nothing)
      return
    }
    const decimals = Math.round(value * 1e6) / 1e6 === value ? MICROSECOND_DECIMALS
      : Math.round(value * 1e9) / 1e9 === value ? NANOSECOND_DECIMALS : PICOSECOND_DECIMALS
    const parts = Math.round(value * POWERS_OF_TEN[decimals])
    if (Number.isSafeInteger(parts)) this.#out.decimal(parts, decimals)
    else this.#out.ascii(value.toFixed(decimals))
  }
}

function ascii (text: string): Uint8Array {
  return Buffer.from(text, 'latin1')
}

function numberOf (value = NaN): number | null {
  return Number.isNaN(value) ? null : value
}

/** null where there are none. */
function payloadsText (context: RecordContext | undefined): string | null {
  const payloads = context?.payloads ?? []
  return payloads.length === 0 ? null : payloads.map(({ topic, parent, length, payload }) => `${topic}.${parent}.${length}.${Buffer.from(payload).toString('hex')}`).join(';')
}

/** null where there are none. */
function listText (records: readonly number[] = []): string | null {
  return records.length === 0 ? null : records.join(';')
}

/** A CSV field (RFC 4180, section 2), quoted only where it must be. */
function quoted (text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
