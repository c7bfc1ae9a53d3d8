// Synthetic rows like traffic: several kinds of frames with their own flags and lengths, and outliers.

import { StandardScaler } from '../../models/index.js'
import { Random } from '../../models/random.js'

/** Number of columns, as in Table I of the paper. */
export const WIDTH = 31

const KINDS = 8
/** Columns with a flag or type: one value per kind. */
const FLAGS = 16
/** Share of rows that are outliers. */
const OUTLIERS = 0.05
/** Latent factors behind the lengths and times of a kind: columns of real traffic are correlated, too. */
const FACTORS = 2
/** Share of inverted flags. */
const INVERTED_SHARE = 0.002
/** Clipping limit in standard deviations, as in the broker. */
const LIMIT = 10

/** A kind of frame: its mean, and the weight of each factor for each column. */
interface Kind {
  mean: Float64Array
  factors: readonly Float64Array[]
}

/** Standardised rows and their labels, 1 = outlier. */
export interface LabelledRows {
  rows: Float64Array[]
  labels: Uint8Array
}

/** Makes training rows and test rows, standardised with the training rows. */
export function makeRows(train: number, test: number, seed: number): { train: LabelledRows; test: LabelledRows } {
  const random = new Random(seed)
  const kinds = Array.from({ length: KINDS }, (): Kind => ({
    mean: Float64Array.from({ length: WIDTH }, (_, j) => (j < FLAGS ? random.integer(2) : 2 * random.normal())),
    factors: Array.from({ length: FACTORS }, () =>
      Float64Array.from({ length: WIDTH }, (_, j) => (j < FLAGS ? 0 : 0.4 * random.normal()))
    )
  }))
  const draw = (count: number): LabelledRows => {
    const labels = Uint8Array.from({ length: count }, () => Number(random.uniform() < OUTLIERS))
    return { labels, rows: Array.from(labels, label => row(kinds, label === 1, random)) }
  }
  const [learnt, judged] = [draw(train), draw(test)]
  const scaler = StandardScaler.fit(learnt.rows, { limit: LIMIT })
  const standardised = ({ rows, labels }: LabelledRows): LabelledRows => ({
    labels,
    rows: rows.map(one => scaler.transform(one))
  })
  return { train: standardised(learnt), test: standardised(judged) }
}

function row(kinds: readonly Kind[], isOutlier: boolean, random: Random): Float64Array {
  const { mean, factors } = kinds[random.integer(KINDS)]
  const strengths = factors.map(() => random.normal())
  return mean.map((value, j) => {
    if (j < FLAGS) return random.uniform() < INVERTED_SHARE ? 1 - value : value
    // The lengths and times of an outlier are independent.
    return isOutlier ? 2.5 * random.normal() : factors.reduce((sum, factor, c) => sum + strengths[c] * factor[j], value)
  })
}
