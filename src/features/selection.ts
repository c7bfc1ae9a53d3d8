// Selects the columns that best separate attacks from benign records.

import { selectKBest, type Rows } from '../../models/index.js'
import { columnsOf, type ColumnName } from './columns.js'
import { Encoding } from './encoding.js'
import type { FeatureValues } from './schema.js'

/** Number of columns in the paper's one-class SVM. */
export const BEST_COUNT = 24

/**
 * Returns the {@link BEST_COUNT} columns of Table I with the highest ANOVA F (scikit-learn's `SelectKBest`), in the
 * order of Table I; fewer if fewer vary in the records.
 *
 * @param labels one per record, 1 = attack; both classes must be present
 * @throws DetectorError `labels` if they are not
 * @throws OperatorError `training-data` if no column varies
 */
export function bestFeatures(records: readonly FeatureValues[], labels: ArrayLike<number>): ColumnName[] {
  const encoding = Encoding.fit(records, { columns: columnsOf('table1', 'wire') })
  const rows: Rows = records.map(values => encoding.encodeHeldOut(values))
  const best = selectKBest(rows, labels, Math.min(BEST_COUNT, encoding.columns.length))
  return best.map(j => encoding.columns[j])
}
