// Reads records from the CSV that `extract` writes and validates every field.

import { isIP } from 'node:net'
import { evictOldest } from '../../src/bounded-map.js'
import { PacketType } from '../../src/decode/packet-types.js'
import { REFERENCES_PER_RECORD } from '../../src/features/references.js'
import type { RecordContext } from '../../src/features/record-context.js'
import { SAMPLES_PER_RECORD } from '../../src/features/payload-sample.js'
import { PAYLOAD_CAP_BYTES } from '../../src/features/payload.js'
import { FULL_NAMES } from '../../src/features/record-writer.js'
import { FEATURES, type FeatureName, type FeatureValues } from '../../src/features/schema.js'
import { isInitiated } from '../../src/decode/initiated.js'
import { normaliseAddress } from '../../src/observe/address.js'
import type { Peer, TrafficRecord } from '../../src/record.js'
import type { OperatorError } from '../../src/errors.js'
import { printable } from '../terminal/printable.js'
import { csvError, readCsv, type CsvRow } from './csv.js'
import { readNdjsonRows } from './record-ndjson.js'

const HEADER = ['frame', 'time', ...FEATURES.map(({ name }) => name)]
const FULL_HEADER = [...HEADER, ...FULL_NAMES]
/** Number of context columns that are not model inputs: payloads, record, references, origins, takeover. */
const LINKS = 5
/** Indices of the context columns that count a frame's packets by type, and of the one that counts acknowledgements. */
const PACKET_COUNTS = ['connect', 'connack', 'publish', 'acks', 'subscribe', 'suback', 'ping', 'disconnect'].map(type =>
  FULL_NAMES.indexOf(`frame_${type}`)
)
const ACKS = FULL_NAMES.indexOf('frame_acks')
const NANOSECOND_DIGITS = 9
/** Maximum length: 2^32 - 1. */
const MAX_LENGTH = 4_294_967_295
const MAX_REMAINING_LENGTH = 268_435_455
const MAX_PORT = 65_535
/** Maximum number of shared peers; beyond it the oldest are dropped, which costs only memory. */
const MAX_PEERS = 65_536

/** Type of a column: an integer with a maximum, or another type. */
type ColumnType = number | 'address' | 'seconds' | 'payload'

const COLUMN_TYPES: Readonly<Record<FeatureName, ColumnType>> = {
  packet_length: MAX_LENGTH,
  src_ip: 'address',
  dst_ip: 'address',
  ip_len: MAX_LENGTH,
  ip_df_flag: 1,
  ip_mf_flag: 1,
  ip_rb_flag: 1,
  ttl: 255,
  tcp_w_size: 65_535,
  tcp_len: MAX_LENGTH,
  tcp_pdu_size: MAX_LENGTH,
  tcp_ack_flag: 1,
  tcp_cwr_flag: 1,
  tcp_ecn_flag: 1,
  tcp_fin_flag: 1,
  tcp_ns_flag: 1,
  tcp_push_flag: 1,
  tcp_res_flag: 7,
  tcp_reset_flag: 1,
  tcp_syn_flag: 1,
  tcp_urg_flag: 1,
  tcp_src_port: MAX_PORT,
  tcp_dst_port: MAX_PORT,
  tcp_delta: 'seconds',
  l20_avg: 'seconds',
  mqtt_header: 255,
  mqtt_msg: 'payload',
  mqtt_len: MAX_REMAINING_LENGTH,
  mqtt_topic_len: 65_535,
  mqtt_msg_type: 15,
  mqtt_qos_lvl: 3
}

/** First bytes of a CSV of records, with and without a file column. */
export const RECORD_CSV_PREFIXES: readonly string[] = ['frame,', 'file,']

/**
 * Reads the records of a CSV from `extract` in chunks. Data that the CSV lacks is missing: there are no client ids, and
 * no record is marked as the detection's own.
 *
 * @param file the file name for messages
 * @param ports TCP ports that carry MQTT, from which the direction follows
 * @throws OperatorError `csv` with file, line, column and value
 */
export async function* readRecordCsv(
  bytes: AsyncIterable<Uint8Array>,
  file: string,
  ports: readonly number[]
): AsyncGenerator<TrafficRecord[]> {
  yield* readRows(readCsv(bytes, file), file, ports, false)
}

/** Reads records from NDJSON of `extract` or the record log, which may include packets without a frame. */
export async function* readRecordNdjson(
  bytes: AsyncIterable<Uint8Array>,
  file: string,
  ports: readonly number[]
): AsyncGenerator<TrafficRecord[]> {
  yield* readRows(readNdjsonRows(bytes, file), file, ports, true)
}

async function* readRows(
  source: AsyncIterable<CsvRow[]>,
  file: string,
  ports: readonly number[],
  hasPackets: boolean
): AsyncGenerator<TrafficRecord[]> {
  let reader: RecordReader | undefined
  for await (const rows of source) {
    const records: TrafficRecord[] = []
    for (const row of rows) {
      if (reader === undefined) reader = new RecordReader(file, row, new Set(ports), hasPackets)
      else records.push(reader.record(row))
    }
    if (records.length > 0) yield records
  }
}

class RecordReader {
  /** Number of columns before `frame`. */
  readonly #offset: number
  /** Names of the columns from `frame`: Table I, or all. */
  readonly #header: readonly string[]
  readonly #peers = new Map<string, Peer>()
  readonly #file: string
  readonly #ports: ReadonlySet<number>
  readonly #hasPackets: boolean

  /** @param hasPackets whether records may have no frame, as packets without a tap */
  constructor(file: string, header: CsvRow, ports: ReadonlySet<number>, hasPackets: boolean) {
    this.#file = file
    this.#ports = ports
    this.#hasPackets = hasPackets
    this.#offset = header.fields[0] === 'file' ? 1 : 0
    const names = header.fields.slice(this.#offset)
    this.#header = names.length > HEADER.length ? FULL_HEADER : HEADER
    const invalid = this.#header.findIndex((name, i) => names[i] !== name)
    if (invalid !== -1 || names.length > this.#header.length) {
      throw csvError(
        file,
        header.line,
        invalid === -1
          ? 'too many columns'
          : `column ${invalid + 1 + this.#offset} is ${quote(names[invalid])}, but must be ${this.#header[invalid]}`,
        'Give a capture, or a CSV with header from "artemis extract" of this version.'
      )
    }
  }

  record(row: CsvRow): TrafficRecord {
    const expected = this.#header.length + this.#offset
    if (row.fields.length !== expected) {
      throw csvError(
        this.#file,
        row.line,
        `${row.fields.length} fields, but must be ${expected}`,
        'The file is damaged or truncated. Extract the capture again.'
      )
    }
    const frame =
      this.#hasPackets && row.fields[this.#offset] === '' ? null : this.#integer(row, 0, Number.MAX_SAFE_INTEGER)
    const [seconds, nanoseconds] = this.#time(row)
    const features = Object.fromEntries(
      FEATURES.map(({ name }, j) => [name, this.#value(row, name, j + 2)])
    ) as unknown as FeatureValues
    // The CSV does not distinguish an empty payload from none.
    if (features.mqtt_msg_type === PacketType.PUBLISH) features.mqtt_msg ??= new Uint8Array(0)
    const header = features.mqtt_header
    const isPacket = header !== null
    const context = this.#header === HEADER ? undefined : this.#context(row)
    return {
      frame,
      seconds,
      nanoseconds,
      features: context === undefined ? features : { ...features, context },
      join: isPacket ? 'decoded' : 'none',
      ...this.#endpoints(row, features),
      ...(context === undefined
        ? { packets: Number(isPacket), initiated: Number(isPacket && isInitiated({ header })) }
        : packetCounts(context)),
      own: false
    }
  }

  #value(row: CsvRow, name: FeatureName, column: number): number | string | Uint8Array | null {
    const text = row.fields[column + this.#offset]
    if (text === '') return null
    const type = COLUMN_TYPES[name]
    switch (type) {
      case 'address':
        if (isIP(text) === 0) throw this.#fieldError(row, column, 'an IP address')
        return normaliseAddress(text)
      case 'seconds':
        // The clock of a capture may step back.
        if (!/^-?\d{1,12}(\.\d{1,15})?$/.test(text)) throw this.#fieldError(row, column, 'seconds, such as 0.250000')
        return Number(text)
      case 'payload':
        if (text.length % 2 !== 0 || /[^0-9a-f]/.test(text))
          throw this.#fieldError(row, column, 'bytes in lower-case hex')
        return new Uint8Array(Buffer.from(text.slice(0, 2 * PAYLOAD_CAP_BYTES), 'hex'))
      default:
        return this.#integer(row, column, type)
    }
  }

  /** Reads the columns that `extract --features full` adds. */
  #context(row: CsvRow): RecordContext {
    const last = FULL_HEADER.length - LINKS
    const values = Float64Array.from({ length: FULL_NAMES.length - LINKS }, (_, i) => {
      const text = row.fields[HEADER.length + i + this.#offset]
      if (text === '') return NaN
      if (!/^-?\d{1,30}(\.\d{1,30})?(e[+-]\d{1,3})?$/.test(text))
        throw this.#fieldError(row, HEADER.length + i, 'a number')
      return Number(text)
    })
    const text = row.fields[last + this.#offset]
    const links = {
      record: this.#integer(row, last + 1, Number.MAX_SAFE_INTEGER),
      references: this.#recordNumbers(row, last + 2),
      origins: this.#recordNumbers(row, last + 3),
      takeover:
        row.fields[last + 4 + this.#offset] === '' ? null : this.#integer(row, last + 4, Number.MAX_SAFE_INTEGER)
    }
    if (text === '') return { values, payloads: null, ...links }
    return {
      values,
      ...links,
      payloads: text.split(';', SAMPLES_PER_RECORD).map(sample => {
        const match = /^(\d{1,10})\.(\d{1,10})\.(\d{1,10})\.((?:[0-9a-f]{2})*)$/.exec(sample)
        if (match === null) throw this.#fieldError(row, last, 'payloads in the form topic.parent.length.hex')
        return {
          topic: Number(match[1]) >>> 0,
          parent: Number(match[2]) >>> 0,
          length: Number(match[3]),
          payload: new Uint8Array(Buffer.from(match[4].slice(0, 2 * PAYLOAD_CAP_BYTES), 'hex'))
        }
      })
    }
  }

  #recordNumbers(row: CsvRow, column: number): number[] {
    const text = row.fields[column + this.#offset]
    if (!/^(\d{1,15}(;\d{1,15})*)?$/.test(text)) throw this.#fieldError(row, column, 'record numbers')
    return text === '' ? [] : text.split(';', REFERENCES_PER_RECORD).map(Number)
  }

  #integer(row: CsvRow, column: number, largest: number): number {
    const text = row.fields[column + this.#offset]
    const value = Number(text)
    if (!/^\d{1,16}$/.test(text) || value > largest)
      throw this.#fieldError(row, column, largest === 1 ? '0 or 1' : `an integer from 0 to ${largest}`)
    return value
  }

  #time(row: CsvRow): [seconds: number, nanoseconds: number] {
    const match = /^(\d{1,12})(?:\.(\d{1,9}))?$/.exec(row.fields[1 + this.#offset])
    if (match === null) throw this.#fieldError(row, 1, 'epoch seconds, such as 1571656088.250000')
    return [Number(match[1]), Number((match.at(2) ?? '').padEnd(NANOSECOND_DIGITS, '0'))]
  }

  /** Returns the direction and the peer. */
  #endpoints(
    row: CsvRow,
    { src_ip: from, tcp_src_port: fromPort, dst_ip: to, tcp_dst_port: toPort }: FeatureValues
  ): Pick<TrafficRecord, 'direction' | 'peer'> {
    if (from === null || to === null || fromPort === null || toPort === null) {
      throw csvError(
        this.#file,
        row.line,
        'address or port missing',
        'Every record needs src_ip, dst_ip, tcp_src_port and tcp_dst_port.'
      )
    }
    const isIn = this.#ports.has(toPort)
    if (!isIn && !this.#ports.has(fromPort)) {
      throw csvError(
        this.#file,
        row.line,
        `neither port ${fromPort} nor ${toPort} is an MQTT port (${[...this.#ports].join(', ')})`,
        'Set the MQTT ports with --mqtt-port.'
      )
    }
    const [source, destination] = [
      { address: from, port: fromPort },
      { address: to, port: toPort }
    ]
    return isIn
      ? { direction: 'in', peer: this.#peerOf(source, destination) }
      : { direction: 'out', peer: this.#peerOf(destination, source) }
  }

  #peerOf(client: Peer['client'], broker: Peer['broker']): Peer {
    const key = `${client.address} ${client.port} ${broker.address} ${broker.port}`
    let peer = this.#peers.get(key)
    if (peer === undefined) {
      evictOldest(this.#peers, MAX_PEERS)
      peer = { client, broker, connection: null, clientId: null, username: null }
      this.#peers.set(key, peer)
    }
    return peer
  }

  #fieldError(row: CsvRow, column: number, expected: string): OperatorError {
    return csvError(
      this.#file,
      row.line,
      `${FULL_HEADER[column]} is ${quote(row.fields[column + this.#offset])}, but must be ${expected}`,
      'Correct the line, or extract the capture again.'
    )
  }
}

/** Counts the packets that a frame completes, and those of them that its sender initiated. */
function packetCounts({ values }: RecordContext): Pick<TrafficRecord, 'packets' | 'initiated'> {
  const packets = PACKET_COUNTS.reduce((sum, i) => sum + values[i], 0)
  return { packets, initiated: packets - values[ACKS] }
}

function quote(text: string | undefined): string {
  return text === undefined || text === '' ? 'empty' : printable(JSON.stringify(text))
}
