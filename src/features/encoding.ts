// The features of a record as a vector of numbers: which columns, in which order, on which scale.

import { isIPv4 } from 'node:net'
import { DetectorError } from '../../models/index.js'
import { StateReader } from '../../models/state.js'
import { OperatorError } from '../errors.js'
import { PayloadModel, type PayloadModelJson } from './payload.js'
import { FEATURES, type FeatureColumn, type FeatureName, type FeatureValues } from './schema.js'

/** Whether a record comes from a tap, or from the broker alone. */
export type Variant = 'wire' | 'broker'

/** The named choices of columns: all of Table I, all but addresses and ports, or the best 24 of all. */
export const PRESETS = ['table1', 'table1-no-identity', 'best24'] as const

/**
 * What `best24` leaves out where there are no labels to choose by. `SelectKBest` ranks a column last
 * that never changes, as these did not in any labelled capture at hand (see docs/detectors.md).
 */
const NOT_BEST: readonly FeatureName[] = [
  'ip_mf_flag', 'ip_rb_flag', 'tcp_cwr_flag', 'tcp_ecn_flag', 'tcp_ns_flag', 'tcp_res_flag', 'tcp_urg_flag'
]

/**
 * What stands for a field that a record does not have: on every scale below just outside what a
 * present field can be, so that one cut of a tree sets it apart and no distance grows large by it.
 */
export const MISSING = -1

/** How a column becomes a number. */
type Coding =
  /** As it is. */
  | 'value'
  /** ln(1 + value): spans powers of ten. */
  | 'log'
  /** ln(1 + milliseconds), from seconds. */
  | 'log-ms'
  /** An IPv4 address as a fraction of 2^32, so that neighbours stay neighbours; an IPv6 address as 1 + a hash in [0, 1). */
  | 'address'
  /** Mean log-likelihood per byte of `payload.ts`, at most 0; without a payload the mean of the training payloads. */
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

/** What `Encoding.toJSON` gives. */
export interface EncodingJson {
  /** The program's feature list, which must be that of the program that loads it. */
  features: string[]
  /** The columns in their order, each as `name:coding`. */
  columns: string[]
  /** Columns asked for that never changed in training. */
  dropped: string[]
  payload: PayloadModelJson | null
}

/**
 * The columns that a preset, or a list of feature names parted by commas, stands for.
 * @param variant `broker` leaves out what only a tap can know
 * @throws OperatorError `features-unknown` for a name that is neither
 */
export function columnsOf (features: string, variant: Variant): FeatureName[] {
  const list = features.split(',').map((name) => name.trim())
  const preset = PRESETS.find((name) => name === features)
  const unknown = preset === undefined ? list.find((name) => !FEATURES.some((feature) => feature.name === name)) : undefined
  if (unknown !== undefined) {
    throw new OperatorError('features-unknown', `there is no feature or preset ${unknown}`,
      `use ${PRESETS.join(' or ')}, or a list of ${FEATURES.map(({ name }) => name).join(', ')}`)
  }
  const columns = FEATURES.filter((feature) =>
    (preset === undefined ? list.includes(feature.name) : isIn(preset, feature)) && (variant === 'wire' || !feature.wire))
  if (columns.length === 0) {
    throw new OperatorError('features-none', `of ${features}, nothing is known without a tap`,
      'name at least one MQTT feature')
  }
  return columns.map(({ name }) => name)
}

function isIn (preset: typeof PRESETS[number], { name, identity }: FeatureColumn): boolean {
  switch (preset) {
    case 'table1': return true
    case 'table1-no-identity': return !identity
    case 'best24': return !NOT_BEST.includes(name)
  }
}

/** A fixed way from a record's features to a vector of finite numbers. */
export class Encoding {
  private constructor (
    /** Names of the vector's columns, in its order. */
    readonly columns: readonly FeatureName[],
    /** Columns asked for that never changed in training: they could only mislead. */
    readonly dropped: readonly FeatureName[],
    readonly payload: PayloadModel | undefined
  ) {}

  /**
   * Learns which columns change, and what payloads look like; reads `records` once.
   * @param options.columns see {@link columnsOf}
   * @throws OperatorError `training-data` where no column changes
   */
  static fit (records: Iterable<FeatureValues>, { columns }: { columns: readonly FeatureName[] }): Encoding {
    const payload = columns.includes('mqtt_msg') ? new PayloadModel() : undefined
    const plain = columns.filter((name) => name !== 'mqtt_msg')
    const first = new Float64Array(plain.length)
    const changes = new Set<FeatureName>()
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
    if (payload !== undefined && payload.bytesLearnt > 0) changes.add('mqtt_msg')
    const kept = columns.filter((name) => changes.has(name))
    if (kept.length === 0) {
      throw new OperatorError('training-data', `none of the ${columns.length} columns changes within the ${rows} training records`,
        'train on more traffic')
    }
    return new Encoding(kept, columns.filter((name) => !changes.has(name)), changes.has('mqtt_msg') ? payload : undefined)
  }

  /**
   * The encoding that `toJSON` saved.
   * @throws OperatorError `model-features` where it was made for another feature list or coding
   * @throws DetectorError `state` where it is no encoding
   */
  static fromJSON (json: unknown): Encoding {
    const reader = new StateReader(json, 'encoding')
    if (reader.strings('features').join() !== FEATURES.map(({ name }) => name).join()) {
      throw new OperatorError('model-features', 'the model was made for another list of features', 'train it again with this version')
    }
    const columns = reader.strings('columns').map((text) => {
      const feature = FEATURES.find(({ name }) => text === label(name))
      if (feature === undefined) {
        throw new OperatorError('model-features', `the model has a column ${text} that this version does not know`, 'train it again with this version')
      }
      return feature.name
    })
    if (columns.length === 0 || new Set(columns).size < columns.length) {
      throw new DetectorError('state', 'encoding.columns is empty or names a column twice')
    }
    const dropped = reader.strings('dropped')
    const payload = columns.includes('mqtt_msg') ? PayloadModel.fromJSON(reader.raw('payload')) : undefined
    return new Encoding(columns, FEATURES.map(({ name }) => name).filter((name) => dropped.includes(name)), payload)
  }

  /** The record as numbers, one for each of `columns`. */
  encode (values: FeatureValues): Float64Array {
    return this.#encode(values, (payload) => this.payload?.score(payload) ?? MISSING)
  }

  /** The same for a record of the training data, with its payload scored as if it had not been learnt. */
  encodeHeldOut (values: FeatureValues): Float64Array {
    return this.#encode(values, (payload) => this.payload?.scoreHeldOut(payload) ?? MISSING)
  }

  toJSON (): EncodingJson {
    return {
      features: FEATURES.map(({ name }) => name),
      columns: this.columns.map(label),
      dropped: [...this.dropped],
      payload: this.payload?.toJSON() ?? null
    }
  }

  #encode (values: FeatureValues, scorePayload: (payload: Uint8Array) => number): Float64Array {
    const row = new Float64Array(this.columns.length)
    for (let j = 0; j < row.length; j++) {
      const name = this.columns[j]
      if (name !== 'mqtt_msg') row[j] = encodeColumn(name, values)
      else row[j] = values.mqtt_msg === null ? this.payload?.neutral ?? MISSING : scorePayload(values.mqtt_msg)
    }
    return row
  }
}

function label (name: FeatureName): string {
  return `${name}:${CODINGS[name]}`
}

function encodeColumn (name: FeatureName, values: FeatureValues): number {
  const value = values[name]
  if (typeof value === 'string') return addressNumber(value)
  if (typeof value !== 'number' || !Number.isFinite(value)) return MISSING
  switch (CODINGS[name]) {
    // A capture's clock may step back.
    case 'log-ms': return Math.log1p(Math.max(0, value) * 1000)
    case 'log': return Math.log1p(Math.max(0, value))
    case 'value': case 'address': case 'payload': return value
  }
}

/** FNV-1a (RFC 9923) over the text of what is no IPv4 address. */
function addressNumber (address: string): number {
  if (isIPv4(address)) return address.split('.').reduce((number, part) => number * 256 + Number(part), 0) / 2 ** 32
  let hash = 0x811c9dc5
  for (let i = 0; i < address.length; i++) hash = Math.imul(hash ^ address.charCodeAt(i), 0x01000193)
  return 1 + (hash >>> 0) / 2 ** 32
}
