// Which of the 31 columns tell attacks from benign records best.

import { selectKBest, type Rows } from '../../models/index.js'
import { columnsOf, type ColumnName } from './columns.js'
import { Encoding } from './encoding.js'
import type { FeatureValues } from './schema.js'

/** How many columns the paper keeps for its one-class SVM. */
export const BEST_COUNT = 24

/**
 * The {@link BEST_COUNT} columns of Table I with the highest ANOVA F (scikit-learn's `SelectKBest`), in
 * the order of Table I; fewer where fewer change within the records.
 * @param labels one for each record, 1 = attack; both kinds must be there
 * @throws DetectorError `labels` where they are not
 * @throws OperatorError `training-data` where no column changes
 */
export function bestFeatures(records: readonly FeatureValues[], labels: ArrayLike<number>): ColumnName[] {
  const encoding = Encoding.fit(records, { columns: columnsOf('table1', 'wire') })
  const rows: Rows = records.map(values => encoding.encodeHeldOut(values))
  const best = selectKBest(rows, labels, Math.min(BEST_COUNT, encoding.columns.length))
  return best.map(j => encoding.columns[j])
}
