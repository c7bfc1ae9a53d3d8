// The choices of columns that are compared: what the broker ships, less each of its groups, and with what it leaves
// out.

import { columnsOf, type ColumnName } from '../../src/features/columns.js'
import { FEATURES } from '../../src/features/schema.js'
import { DEFAULTS } from '../../src/settings.js'

/** One choice. */
export interface Choice {
  /** As the head of its column says it. */
  name: string
  /** A preset or a list of features parted by commas. */
  features: string
}

/** What the shipped preset leaves out on purpose. */
const LEFT_OUT: readonly (readonly [name: string, columns: readonly ColumnName[]])[] = [
  ['+ window and ttl', ['tcp_w_size', 'ttl']],
  ['+ times', ['tcp_delta', 'l20_avg']],
  ['+ addresses and ports', ['src_ip', 'dst_ip', 'tcp_src_port', 'tcp_dst_port']]
]

/** The shipped preset first; groups of context and payload columns are told by how their names begin. */
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

/** The shipped preset, and then without each of its columns, one at a time. */
export function eachColumn(): Choice[] {
  const { features } = DEFAULTS.detector
  const shipped = columnsOf(features, 'wire')
  return [
    { name: `\`${features}\``, features },
    ...shipped.map(left => ({ name: `\`${left}\``, features: shipped.filter(column => column !== left).join() }))
  ]
}
