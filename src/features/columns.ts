// Every column that a model may take, and the named choices of columns.

import { OperatorError } from '../errors.js'
import { CONTEXT_COLUMNS } from './context-columns.js'
import { MESSAGE_COLUMNS } from './message-encoding.js'
import { FEATURES, type FeatureName } from './schema.js'

/** Whether a record comes from a tap, or from the broker alone. */
export type Variant = 'wire' | 'broker'

/** The named choices of columns; see docs/features.md. */
export const PRESETS = [
  'table1',
  'table1-no-identity',
  'best24',
  'context',
  'full',
  'full-no-identity',
  'behaviour'
] as const

/** A named choice of columns. */
export type Preset = (typeof PRESETS)[number]

/** Name of a column: a feature of Table I, or one of context and payload. */
export type ColumnName = string

/** A column as presets choose it. */
interface Choice {
  readonly name: ColumnName
  /** Needs a tap. */
  readonly wire: boolean
  readonly group: 'table1' | 'context' | 'payload'
  readonly identity: boolean
}

/** All columns: Table I, then context, then those of messages. */
export const COLUMNS: readonly Choice[] = Object.freeze([
  ...FEATURES.map(({ name, wire, identity }): Choice => ({ name, wire, identity, group: 'table1' })),
  ...CONTEXT_COLUMNS.map(({ name, wire }): Choice => ({ name, wire, identity: false, group: 'context' })),
  ...MESSAGE_COLUMNS.map(({ name }): Choice => ({ name, wire: false, identity: false, group: 'payload' }))
])

/**
 * What `best24` leaves out where there are no labels to choose by. `SelectKBest` ranks a column last
 * that never changes, as these did not in any labelled capture at hand (see docs/detectors.md).
 */
const NOT_BEST: readonly FeatureName[] = [
  'ip_mf_flag',
  'ip_rb_flag',
  'tcp_cwr_flag',
  'tcp_ecn_flag',
  'tcp_ns_flag',
  'tcp_res_flag',
  'tcp_urg_flag'
]

/**
 * What `behaviour` keeps of Table I: what a client does. Not who it is, nor what betrays its operating
 * system or the network (ttl, window, lengths that options change, flags of IP and of congestion), nor
 * times between frames of others.
 */
const BEHAVIOUR: readonly FeatureName[] = [
  'tcp_len',
  'tcp_fin_flag',
  'tcp_push_flag',
  'tcp_reset_flag',
  'tcp_syn_flag',
  'mqtt_len',
  'mqtt_topic_len',
  'mqtt_qos_lvl'
]

/**
 * What `behaviour` leaves out of context and payloads, because all attacks are told as well without it
 * (bench/results/ablation-columns.md): what else is in a frame than its length and first packet, and how long a payload
 * is
 * on its topic.
 */
const TELLS_NOTHING = /^(frame_(?!up$)|payload_length_surprise$)/

/**
 * The columns that a preset, or a list of names parted by commas, stands for.
 * @param variant `broker` leaves out what only a tap can know
 * @throws OperatorError `features-unknown` for a name that is neither
 */
export function columnsOf(features: string, variant: Variant): ColumnName[] {
  const list = features.split(',').map(name => name.trim())
  const preset = PRESETS.find(name => name === features)
  const unknown = preset === undefined ? list.find(name => !COLUMNS.some(column => column.name === name)) : undefined
  if (unknown !== undefined) {
    throw new OperatorError(
      'features-unknown',
      `there is no feature or preset ${unknown}`,
      `use ${PRESETS.join(' or ')}, or a list of ${COLUMNS.map(({ name }) => name).join(', ')}`
    )
  }
  const columns = COLUMNS.filter(
    column =>
      (preset === undefined ? list.includes(column.name) : isIn(preset, column)) && (variant === 'wire' || !column.wire)
  )
  if (columns.length === 0) {
    throw new OperatorError(
      'features-none',
      `of ${features}, nothing is known without a tap`,
      'name at least one MQTT feature'
    )
  }
  return columns.map(({ name }) => name)
}

/** Whether a column is one of messages, and not of records. */
export function isMessageColumn(name: ColumnName): boolean {
  return MESSAGE_COLUMNS.some(column => column.name === name)
}

/** Whether any of the columns is more than Table I knows. */
export function needsContext(columns: readonly ColumnName[]): boolean {
  return columns.some(name => !FEATURES.some(feature => feature.name === name))
}

function isIn(preset: Preset, { name, identity, group }: Choice): boolean {
  switch (preset) {
    case 'table1':
      return group === 'table1'
    case 'table1-no-identity':
      return group === 'table1' && !identity
    case 'best24':
      return group === 'table1' && !(NOT_BEST as readonly string[]).includes(name)
    case 'context':
      return group !== 'payload' && !identity
    case 'full':
      return true
    case 'full-no-identity':
      return !identity
    case 'behaviour':
      return group === 'table1' ? (BEHAVIOUR as readonly string[]).includes(name) : !TELLS_NOTHING.test(name)
  }
}
