// Encodes the features of a record as a numeric vector: columns, order and scale.

import { isIPv4 } from 'node:net'
import { DetectorError } from '../../models/index.js'
import { StateReader } from '../../models/state.js'
import { OperatorError } from '../errors.js'
import { hashText } from '../fnv.js'
import type { ColumnName } from './columns.js'
import { CONTEXT_COLUMNS } from './context-columns.js'
import { PayloadModel, type PayloadModelJson } from './payload.js'
import { FEATURES, type FeatureName, type RecordFeatures } from './schema.js'

/**
 * Value of a missing field: just below the range of every scale, so that a single tree split isolates it and no
 * distance becomes large.
 */
export const MISSING = -1

/** How a column is converted to a number. */
type Coding =
  /** Unchanged. */
  | 'value'
  /** ln(1 + value), for values over several orders of magnitude. */
  | 'log'
  /** ln(1 + milliseconds), from seconds. */
  | 'log-ms'
  /** An IPv4 address as a fraction of 2^32, so that neighbours stay close; an IPv6 address as 1 + a hash in [0, 1). */
  | 'address'
  /** Mean log-likelihood per byte of `payload.ts`, at most 0. Without a payload: the mean of the training payloads. */
  | 'payload'

const CODINGS: Readonly<Record<FeatureName, Coding>> = {
  packet_length: 'log',
  src_ip: 'address',
  dst_ip: 'address',
  ip_len: 'log',
  ip_df_flag: 'value',
  ip_mf_flag: 'value',
  ip_rb_flag: 'value',
  ttl: 'value',
  tcp_w_size: 'log',
  tcp_len: 'log',
  tcp_pdu_size: 'log',
  tcp_ack_flag: 'value',
  tcp_cwr_flag: 'value',
  tcp_ecn_flag: 'value',
  tcp_fin_flag: 'value',
  tcp_ns_flag: 'value',
  tcp_push_flag: 'value',
  tcp_res_flag: 'value',
  tcp_reset_flag: 'value',
  tcp_syn_flag: 'value',
  tcp_urg_flag: 'value',
  tcp_src_port: 'value',
  tcp_dst_port: 'value',
  tcp_delta: 'log-ms',
  l20_avg: 'log-ms',
  mqtt_header: 'value',
  mqtt_msg: 'payload',
  mqtt_len: 'log',
  mqtt_topic_len: 'log',
  mqtt_msg_type: 'value',
  mqtt_qos_lvl: 'value'
}

/** JSON form of an encoding. */
export interface EncodingJson {
  /** The program's feature list. It must match that of the program that loads it. */
  features: string[]
  /** The columns in order, each as `name:coding`. */
  columns: string[]
  /** Requested columns that were constant in training. */
  dropped: string[]
  payload: PayloadModelJson | null
}

/**
 * Minimum standard deviation of a context column, in ln(1 + count) or a share. Counts of rare actions differ between
 * sites: three SUBSCRIBEs instead of the usual one deviate by 1, three hundred by 10.
 */
const MIN_CONTEXT_DEVIATION = 0.5

const CONTEXT_INDEX: ReadonlyMap<ColumnName, number> = new Map(CONTEXT_COLUMNS.map(({ name }, index) => [name, index]))

/** Maps a record's features to a vector of finite numbers. */
export class Encoding {
  readonly leastDeviations: Float64Array

  private constructor(
    /** Names of the vector's columns, in order. */
    readonly columns: readonly ColumnName[],
    /** Requested columns of Table I that were constant in training, and are therefore excluded. */
    readonly dropped: readonly ColumnName[],
    readonly payload: PayloadModel | undefined
  ) {
    this.leastDeviations = Float64Array.from(columns, name => (CONTEXT_INDEX.has(name) ? MIN_CONTEXT_DEVIATION : 0))
  }

  /**
   * Learns which columns vary, and the payload model. Reads `records` once. Context columns are kept even if they were
   * constant: if nothing was ever refused in training, the first refusal is significant.
   *
   * @param options.columns see {@link columnsOf}
   * @throws OperatorError `training-data` if no column varies
   */
  static fit(records: Iterable<RecordFeatures>, { columns }: { columns: readonly ColumnName[] }): Encoding {
    const payload = columns.includes(MESSAGE) ? new PayloadModel() : undefined
    const plain = columns.filter(name => name !== MESSAGE)
    const first = new Float64Array(plain.length)
    const changes = new Set<ColumnName>()
    let rows = 0
    for (const values of records) {
      if (values.mqtt_msg !== null) payload?.learn(values.mqtt_msg)
      plain.forEach((name, j) => {
        const value = encodeColumn(name, values)
        if (rows === 0) first[j] = value
        else if (value !== first[j]) changes.add(name)
      })
      rows++
    }
    if (payload !== undefined && payload.bytesLearnt > 0) changes.add(MESSAGE)
    const kept = columns.filter(name => changes.has(name) || CONTEXT_INDEX.has(name))
    if (changes.size === 0) {
      throw new OperatorError(
        'training-data',
        `all ${columns.length} columns are constant in the ${rows} training records`,
        'Train on more traffic.'
      )
    }
    return new Encoding(
      kept,
      columns.filter(name => !kept.includes(name)),
      changes.has(MESSAGE) ? payload : undefined
    )
  }

  /**
   * Restores an encoding saved by `toJSON`.
   *
   * @throws OperatorError `model-features` if it was made for another feature list or coding
   * @throws DetectorError `state` if it is not a valid encoding
   */
  static fromJSON(json: unknown): Encoding {
    const reader = new StateReader(json, 'encoding')
    if (reader.strings('features').join() !== FEATURES.map(({ name }) => name).join()) {
      throw new OperatorError(
        'model-features',
        'the model was trained with a different feature list',
        'Train it again with this version.'
      )
    }
    const columns = reader.strings('columns').map(text => {
      const name = NAMES_BY_LABEL.get(text)
      if (name === undefined) {
        throw new OperatorError('model-features', `unknown model column ${text}`, 'Train it again with this version.')
      }
      return name
    })
    if (columns.length === 0 || new Set(columns).size < columns.length) {
      throw new DetectorError('state', 'encoding.columns is empty or has duplicates')
    }
    const payload = columns.includes(MESSAGE) ? PayloadModel.fromJSON(reader.raw('payload')) : undefined
    return new Encoding(columns, reader.strings('dropped'), payload)
  }

  /** Encodes a record, one number for each of `columns`. */
  encode(values: RecordFeatures): Float64Array {
    return this.#encode(values, payload => this.payload?.score(payload) ?? MISSING)
  }

  /** Encodes a record of the training data, with its payload scored as if it were not in the training data. */
  encodeHeldOut(values: RecordFeatures): Float64Array {
    return this.#encode(values, payload => this.payload?.scoreHeldOut(payload) ?? MISSING)
  }

  /**
   * Returns the value of a column for explanations: the record's value, or for a payload its score, never the payload.
   */
  shown(values: RecordFeatures, column: number, row: Float64Array): number | string | null {
    const value = columnValue(this.columns[column], values)
    return value instanceof Uint8Array ? row[column] : value
  }

  toJSON(): EncodingJson {
    return {
      features: FEATURES.map(({ name }) => name),
      columns: this.columns.map(label),
      dropped: [...this.dropped],
      payload: this.payload?.toJSON() ?? null
    }
  }

  #encode(values: RecordFeatures, scorePayload: (payload: Uint8Array) => number): Float64Array {
    const row = new Float64Array(this.columns.length)
    for (let j = 0; j < row.length; j++) {
      const name = this.columns[j]
      if (name !== MESSAGE) row[j] = encodeColumn(name, values)
      else row[j] = values.mqtt_msg === null ? (this.payload?.neutral ?? MISSING) : scorePayload(values.mqtt_msg)
    }
    return row
  }
}

const MESSAGE = 'mqtt_msg'

/** The columns by the labels that `toJSON` writes. */
const NAMES_BY_LABEL: ReadonlyMap<string, ColumnName> = new Map(
  [...FEATURES, ...CONTEXT_COLUMNS].map(({ name }) => [label(name), name])
)

function label(name: ColumnName): string {
  const context = CONTEXT_INDEX.get(name)
  if (context !== undefined) return `${name}:${CONTEXT_COLUMNS[context].coding}`
  return `${name}:${CODINGS[name as FeatureName]}`
}

/** Returns the record's value of a column; null if missing. */
function columnValue(name: ColumnName, values: RecordFeatures): number | string | Uint8Array | null {
  const index = CONTEXT_INDEX.get(name)
  if (index === undefined) return values[name as FeatureName] ?? null
  const value = values.context?.values[index]
  return value === undefined || Number.isNaN(value) ? null : value
}

function encodeColumn(name: ColumnName, values: RecordFeatures): number {
  const index = CONTEXT_INDEX.get(name)
  if (index !== undefined) {
    const value = values.context?.values[index] ?? NaN
    if (!Number.isFinite(value)) return MISSING
    return CONTEXT_COLUMNS[index].coding === 'log' ? Math.log1p(Math.max(0, value)) : value
  }
  const value = values[name as FeatureName]
  if (typeof value === 'string') return addressNumber(value)
  if (typeof value !== 'number' || !Number.isFinite(value)) return MISSING
  switch (CODINGS[name as FeatureName]) {
    // A capture's clock may step back.
    case 'log-ms':
      return Math.log1p(Math.max(0, value) * 1000)
    case 'log':
      return Math.log1p(Math.max(0, value))
    case 'value':
    case 'address':
    case 'payload':
      return value
  }
}

/** Addresses other than IPv4 use FNV-1a (RFC 9923) over their text. */
function addressNumber(address: string): number {
  if (isIPv4(address)) return address.split('.').reduce((number, part) => number * 256 + Number(part), 0) / 2 ** 32
  return 1 + hashText(address) / 2 ** 32
}
