// The columns that a model can use, and the presets.

import { OperatorError } from '../errors.js'
import { CONTEXT_COLUMNS } from './context-columns.js'
import { MESSAGE_COLUMNS } from './message-encoding.js'
import { FEATURES, type FeatureName } from './schema.js'

/** `wire`: records from a tap. `broker`: records from the broker alone. */
export type Variant = 'wire' | 'broker'

/** Names of the presets; see docs/features.md. */
export const PRESETS = [
  'table1',
  'table1-no-identity',
  'best24',
  'context',
  'full',
  'full-no-identity',
  'behaviour'
] as const

/** Name of a preset. */
export type Preset = (typeof PRESETS)[number]

/** Name of a column: a feature of Table I, a context column or a payload column. */
export type ColumnName = string

/** A column with the properties that presets select by. */
interface Column {
  readonly name: ColumnName
  /** Requires a tap. */
  readonly wire: boolean
  readonly group: 'table1' | 'context' | 'payload'
  readonly identity: boolean
}

/** All columns in order: Table I, context, payload. */
export const COLUMNS: readonly Column[] = Object.freeze([
  ...FEATURES.map(({ name, wire, identity }): Column => ({ name, wire, identity, group: 'table1' })),
  ...CONTEXT_COLUMNS.map(({ name, wire }): Column => ({ name, wire, identity: false, group: 'context' })),
  ...MESSAGE_COLUMNS.map(({ name }): Column => ({ name, wire: false, identity: false, group: 'payload' }))
])

/**
 * Columns that `best24` excludes if there are no labels to choose by. `SelectKBest` ranks constant columns last, and
 * these were constant in all available labelled captures (see docs/detectors.md).
 */
const BEST24_EXCLUDED: readonly FeatureName[] = [
  'ip_mf_flag',
  'ip_rb_flag',
  'tcp_cwr_flag',
  'tcp_ecn_flag',
  'tcp_ns_flag',
  'tcp_res_flag',
  'tcp_urg_flag'
]

/**
 * Columns of Table I that `behaviour` keeps: what a client does. It excludes its identity, columns that depend on its
 * operating system or the network (TTL, window, lengths that options change, IP and congestion flags), and times
 * between frames of other connections.
 */
const BEHAVIOUR_FEATURES: readonly FeatureName[] = [
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
 * Context and payload columns that `behaviour` excludes because attacks are detected equally well without them
 * (bench/results/ablation-columns.md): all properties of a frame except its direction, and the payload length relative
 * to its topic.
 */
const BEHAVIOUR_EXCLUDED = /^(frame_(?!up$)|payload_length_surprise$)/

/**
 * Returns the columns of a preset or of a comma-separated list of names.
 *
 * @param variant `broker` excludes columns that require a tap
 * @throws OperatorError `features-unknown` for an unknown name
 */
export function columnsOf(features: string, variant: Variant): ColumnName[] {
  const list = features.split(',').map(name => name.trim())
  const preset = PRESETS.find(name => name === features)
  const unknown = preset === undefined ? list.find(name => !COLUMNS.some(column => column.name === name)) : undefined
  if (unknown !== undefined) {
    throw new OperatorError(
      'features-unknown',
      `unknown feature or preset "${unknown}"`,
      `Use ${PRESETS.join(', ')}, or a list of ${COLUMNS.map(({ name }) => name).join(', ')}.`
    )
  }
  const columns = COLUMNS.filter(
    column =>
      (preset === undefined ? list.includes(column.name) : isInPreset(preset, column)) &&
      (variant === 'wire' || !column.wire)
  )
  if (columns.length === 0) {
    throw new OperatorError(
      'features-none',
      `all columns of ${features} require a tap`,
      'Add at least one MQTT feature.'
    )
  }
  return columns.map(({ name }) => name)
}

/** Whether the column belongs to messages rather than records. */
export function isMessageColumn(name: ColumnName): boolean {
  return MESSAGE_COLUMNS.some(column => column.name === name)
}

/** Whether any of the columns is not in Table I. */
export function needsContext(columns: readonly ColumnName[]): boolean {
  return columns.some(name => !FEATURES.some(feature => feature.name === name))
}

function isInPreset(preset: Preset, { name, identity, group }: Column): boolean {
  switch (preset) {
    case 'table1':
      return group === 'table1'
    case 'table1-no-identity':
      return group === 'table1' && !identity
    case 'best24':
      return group === 'table1' && !(BEST24_EXCLUDED as readonly string[]).includes(name)
    case 'context':
      return group !== 'payload' && !identity
    case 'full':
      return true
    case 'full-no-identity':
      return !identity
    case 'behaviour':
      return group === 'table1'
        ? (BEHAVIOUR_FEATURES as readonly string[]).includes(name)
        : !BEHAVIOUR_EXCLUDED.test(name)
  }
}
