// Rows shaped like traffic: a few kinds of frames with flags and lengths of their own, and some that fit none.

import { StandardScaler } from '../../models/index.js'
import { Random } from '../../models/random.js'

/** As many columns as the paper's Table I. */
export const WIDTH = 31

const KINDS = 8
/** Columns that hold a flag or a type: one value for each kind. */
const FLAGS = 16
/** Share of rows that are outliers. */
const OUTLIERS = 0.05
/** What the lengths and times of a kind come from: the columns of real traffic hang together as well. */
const CAUSES = 2
/** Share of flags that are not as usual. */
const FLIPPED = 0.002
/** Standard deviations at which rows are clipped, as the broker does. */
const LIMIT = 10

/** A kind of frame: its middle, and how far each cause moves each column. */
interface Kind {
  middle: Float64Array
  causes: readonly Float64Array[]
}

/** Standardised rows and their labels, 1 = outlier. */
export interface LabelledRows {
  rows: Float64Array[]
  labels: Uint8Array
}

/** Rows to learn from and rows to judge, standardised by the former. */
export function makeRows(train: number, test: number, seed: number): { train: LabelledRows; test: LabelledRows } {
  const random = new Random(seed)
  const kinds = Array.from({ length: KINDS }, (): Kind => ({
    middle: Float64Array.from({ length: WIDTH }, (_, j) => (j < FLAGS ? random.integer(2) : 2 * random.normal())),
    causes: Array.from({ length: CAUSES }, () =>
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
  const { middle, causes } = kinds[random.integer(KINDS)]
  const strengths = causes.map(() => random.normal())
  return middle.map((value, j) => {
    if (j < FLAGS) return random.uniform() < FLIPPED ? 1 - value : value
    // The lengths and times of an outlier have nothing to do with one another.
    return isOutlier ? 2.5 * random.normal() : causes.reduce((sum, cause, c) => sum + strengths[c] * cause[j], value)
  })
}
