// The column choices that the ablation compares: the shipped preset, the preset without each group, and with excluded
// columns.

import { columnsOf, type ColumnName } from '../../src/features/columns.js'
import { FEATURES } from '../../src/features/schema.js'
import { DEFAULTS } from '../../src/settings.js'

/** A set of columns to compare. */
export interface Choice {
  /** Column heading in the table. */
  name: string
  /** A preset or a comma-separated list of features. */
  features: string
}

/** Columns that the shipped preset deliberately excludes. */
const LEFT_OUT: readonly (readonly [name: string, columns: readonly ColumnName[]])[] = [
  ['+ window and ttl', ['tcp_w_size', 'ttl']],
  ['+ times', ['tcp_delta', 'l20_avg']],
  ['+ addresses and ports', ['src_ip', 'dst_ip', 'tcp_src_port', 'tcp_dst_port']]
]

/** Returns the shipped preset, then the variants. The prefix of a context or payload column names its group. */
export function choices(): Choice[] {
  const shipped = columnsOf(DEFAULTS.detector.features, 'wire')
  const groupOf = (column: ColumnName): string =>
    FEATURES.some(({ name }) => name === column) ? 'Table I' : `${column.split('_')[0]}_*`
  const groups = [...new Set(shipped.map(groupOf))]
  return [
    { name: `\`${DEFAULTS.detector.features}\``, features: DEFAULTS.detector.features },
    ...groups.map(group => ({
      name: `- ${group}`,
      features: shipped.filter(column => groupOf(column) !== group).join()
    })),
    ...LEFT_OUT.map(([name, columns]) => ({ name, features: [...shipped, ...columns].join() })),
    { name: 'Table I alone', features: 'table1-no-identity' }
  ]
}

/** Returns the shipped preset, then the preset without each of its columns. */
export function eachColumn(): Choice[] {
  const { features } = DEFAULTS.detector
  const shipped = columnsOf(features, 'wire')
  return [
    { name: `\`${features}\``, features },
    ...shipped.map(left => ({ name: `\`${left}\``, features: shipped.filter(column => column !== left).join() }))
  ]
}
