// Metrics of how well scores separate outliers from benign rows.

/** Confusion matrix at one threshold. */
export interface Confusion {
  tp: number
  fp: number
  tn: number
  fn: number
}

/** Metrics of the rows with one label against all benign rows. */
export interface LabelFigures {
  rows: number
  rocAuc: number
  /** Share of the rows with a score above the threshold. */
  recall: number
  /** Recall at a false-positive rate of at most 1 %. */
  recallAtFpr1: number
}

/** Result of `artemis evaluate`. An undefined metric is NaN, which is null in JSON. */
export interface Evaluation {
  rows: number
  attackRows: number
  rocAuc: number
  averagePrecision: number
  accuracy: number
  threshold: number
  recallAtFpr1: number
  confusion: Confusion
  perLabel: Record<string, LabelFigures>
}

/** Yields the counts of outliers and others at or above each distinct score, in descending order. */
function* operatingPoints(labels: ArrayLike<number>, scores: ArrayLike<number>): Generator<{ tp: number; fp: number }> {
  const order = Uint32Array.from({ length: scores.length }, (_, i) => i).sort((a, b) => scores[b] - scores[a])
  let tp = 0
  let fp = 0
  for (let i = 0; i < order.length; i++) {
    if (labels[order[i]] === 1) tp++
    else fp++
    if (i + 1 === order.length || scores[order[i + 1]] !== scores[order[i]]) yield { tp, fp }
  }
}

function countPositives(labels: ArrayLike<number>): number {
  let count = 0
  for (let i = 0; i < labels.length; i++) count += Number(labels[i] === 1)
  return count
}

/** Returns the area under the ROC curve, ties counted half; NaN if there is only one class. */
export function rocAuc(labels: ArrayLike<number>, scores: ArrayLike<number>): number {
  let area = 0
  let last = { tp: 0, fp: 0 }
  for (const point of operatingPoints(labels, scores)) {
    area += ((point.fp - last.fp) * (point.tp + last.tp)) / 2
    last = point
  }
  return area / (last.tp * last.fp)
}

/** A point of the ROC curve. */
export interface RocPoint {
  falsePositiveRate: number
  truePositiveRate: number
}

/** Returns the ROC curve from (0, 0) to (1, 1), one point per distinct score; NaN if there is only one class. */
export function rocCurve(labels: ArrayLike<number>, scores: ArrayLike<number>): RocPoint[] {
  const positives = countPositives(labels)
  const negatives = labels.length - positives
  return [{ tp: 0, fp: 0 }, ...operatingPoints(labels, scores)].map(({ tp, fp }) => ({
    falsePositiveRate: fp / negatives,
    truePositiveRate: tp / positives
  }))
}

/**
 * Returns the mean precision over the steps of recall without interpolation, as in scikit-learn. NaN if there is only
 * one class, because it would be 1 for outliers alone regardless of the scores.
 */
export function averagePrecision(labels: ArrayLike<number>, scores: ArrayLike<number>): number {
  const positives = countPositives(labels)
  if (positives === labels.length) return NaN
  let sum = 0
  let last = 0
  for (const { tp, fp } of operatingPoints(labels, scores)) {
    sum += ((tp - last) * tp) / (tp + fp)
    last = tp
  }
  return sum / positives
}

/**
 * Returns the highest recall of any threshold with a false-positive rate of at most `rate`; NaN if there is only one
 * class.
 */
export function recallAtFpr(labels: ArrayLike<number>, scores: ArrayLike<number>, rate: number): number {
  const positives = countPositives(labels)
  const negatives = labels.length - positives
  if (positives === 0 || negatives === 0) return NaN
  let recall = 0
  for (const { tp, fp } of operatingPoints(labels, scores)) {
    if (fp / negatives <= rate) recall = tp / positives
  }
  return recall
}

/** Counts results, with scores above `threshold` classified as outliers. */
export function confusion(labels: ArrayLike<number>, scores: ArrayLike<number>, threshold: number): Confusion {
  const counts: Confusion = { tp: 0, fp: 0, tn: 0, fn: 0 }
  for (let i = 0; i < scores.length; i++) {
    if (scores[i] > threshold) counts[labels[i] === 1 ? 'tp' : 'fp']++
    else counts[labels[i] === 1 ? 'fn' : 'tn']++
  }
  return counts
}

/** Returns the share of correct results, with scores above `threshold` classified as outliers; NaN without rows. */
export function accuracy(labels: ArrayLike<number>, scores: ArrayLike<number>, threshold: number): number {
  const { tp, tn } = confusion(labels, scores, threshold)
  return (tp + tn) / scores.length
}

/**
 * Evaluates scored rows.
 *
 * @param names the attack of each row; null for benign rows
 */
export function evaluate(names: readonly (string | null)[], scores: ArrayLike<number>, threshold: number): Evaluation {
  const labels = Uint8Array.from(names, name => Number(name !== null))
  const found = new Set(names.filter(name => name !== null))
  return {
    rows: names.length,
    attackRows: countPositives(labels),
    rocAuc: rocAuc(labels, scores),
    averagePrecision: averagePrecision(labels, scores),
    accuracy: accuracy(labels, scores, threshold),
    threshold,
    recallAtFpr1: recallAtFpr(labels, scores, 0.01),
    confusion: confusion(labels, scores, threshold),
    // fromEntries defines own properties, so a label may have any name.
    perLabel: Object.fromEntries([...found].sort().map(name => [name, labelFigures(name, names, scores, threshold)]))
  }
}

function labelFigures(
  name: string,
  names: readonly (string | null)[],
  scores: ArrayLike<number>,
  threshold: number
): LabelFigures {
  const chosen = [...names.keys()].filter(i => names[i] === null || names[i] === name)
  const labels = Uint8Array.from(chosen, i => Number(names[i] === name))
  const chosenScores = Float64Array.from(chosen, i => scores[i])
  const { tp, fn } = confusion(labels, chosenScores, threshold)
  return {
    rows: tp + fn,
    rocAuc: rocAuc(labels, chosenScores),
    recall: tp / (tp + fn),
    recallAtFpr1: recallAtFpr(labels, chosenScores, 0.01)
  }
}
