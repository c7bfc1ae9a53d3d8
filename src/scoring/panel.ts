// A panel: experts that score the same records, each by a different aspect.

import { createHash } from 'node:crypto'
import { catalogEntry, DetectorError, type DetectorKind, type OutlierDetector } from '../../models/index.js'
import { contextColumn } from '../features/context-columns.js'
import { needsContext, type ColumnName, type Variant } from '../features/columns.js'
import type { RecordFeatures } from '../features/schema.js'
import { Expert, type ColumnContribution, type ExpertJson, type ExpertOptions, type Scored } from './expert.js'

/** Options of training, with `features` as column names. */
export interface PanelPlan extends Omit<ExpertOptions, 'features' | 'calibrated'> {
  columns: readonly ColumnName[]
}

/** Columns that every aspect has: normal values differ by direction. */
const SHARED: readonly ColumnName[] = ['frame_up']

/**
 * The experts on one kind of record: frames of a tap, or packets without a tap.
 *
 * With the columns of Table I there is one expert, as in the paper. With context columns there is one each for the
 * record itself, its connection and its address. A record's score is the highest of theirs: in a single distance over
 * all columns, the others would mask an anomaly in one aspect.
 */
export class Panel {
  private constructor(
    /** At least one. */
    readonly experts: readonly Expert[]
  ) {}

  /** @throws OperatorError for unsuitable parameters, labels or data */
  static async fit(records: readonly RecordFeatures[], { columns, ...plan }: PanelPlan): Promise<Panel> {
    const isSplit = needsContext(columns) && !catalogEntry(plan.detector).supervised
    const experts: Expert[] = []
    for (const aspect of isSplit ? aspectsOf(columns) : [columns]) {
      experts.push(await Expert.fit(records, { ...plan, features: aspect.join(), calibrated: isSplit }))
    }
    return new Panel(experts)
  }

  /**
   * Restores a panel from the result of `toJSON`.
   *
   * @throws DetectorError `state` if it is invalid, or not for such records and this detector
   * @throws OperatorError `model-features` if it was trained on other features
   */
  static fromJSON(json: unknown, variant: Variant, detector: DetectorKind): Panel {
    if (!Array.isArray(json) || json.length === 0)
      throw new DetectorError('state', `experts.${variant} is not a list of experts`)
    const experts = json.map(each => Expert.fromJSON(each))
    const [first] = experts
    for (const expert of experts) {
      if (
        expert.variant !== variant ||
        expert.detector.kind !== detector ||
        (expert.tail === undefined) !== (first.tail === undefined)
      ) {
        throw new DetectorError(
          'state',
          `experts.${variant} contains a ${expert.detector.kind} for ${expert.variant} records`
        )
      }
    }
    if (experts.length > 1 && first.tail === undefined)
      throw new DetectorError('state', `experts.${variant} have no common scale`)
    return new Panel(experts)
  }

  /** Whether scores are surprises, which are comparable across panels. */
  get isCalibrated(): boolean {
    return this.experts[0].tail !== undefined
  }

  /** Number of training rows of each expert. */
  get rows(): number {
    return this.experts[0].training.rows
  }

  /** Names of the columns that the experts use, without duplicates. */
  get columns(): ColumnName[] {
    return [...new Set(this.experts.flatMap(({ encoding }) => encoding.columns))]
  }

  /** Names of requested columns that no expert uses because they were constant in training. */
  get dropped(): ColumnName[] {
    const columns = this.columns
    return [...new Set(this.experts.flatMap(({ encoding }) => encoding.dropped))].filter(
      name => !columns.includes(name)
    )
  }

  /** The detector of the first expert. All are of the same kind. */
  get detector(): OutlierDetector {
    return this.experts[0].detector
  }

  /** Identifies the training data: SHA-256, in hex. */
  get digest(): string {
    const digests = this.experts.map(({ training }) => training.digest)
    return digests.length === 1 ? digests[0] : createHash('sha256').update(digests.join()).digest('hex')
  }

  /** @param heldOut whether these are the training records, see {@link Expert.score} */
  score(records: readonly RecordFeatures[], heldOut = false): Scored {
    const [first, ...others] = this.experts.map(expert => expert.score(records, heldOut))
    for (const { scores, probabilities } of others) {
      for (let i = 0; i < scores.length; i++) {
        first.scores[i] = Math.max(first.scores[i], scores[i])
        first.probabilities[i] = Math.max(first.probabilities[i], probabilities[i])
      }
    }
    return first
  }

  /** Returns the columns that raise the record's score most, from the expert with the highest score. */
  contributions(record: RecordFeatures): ColumnContribution[] {
    const scores = this.experts.map(expert => expert.score([record]).scores[0])
    return this.experts[scores.indexOf(Math.max(...scores))].contributions(record)
  }

  toJSON(): ExpertJson[] {
    return this.experts.map(expert => expert.toJSON())
  }
}

/** Splits the columns by aspect: the record itself, its connection, its address. */
function aspectsOf(columns: readonly ColumnName[]): ColumnName[][] {
  const aspects: Record<'record' | 'connection' | 'address', ColumnName[]> = { record: [], connection: [], address: [] }
  for (const name of columns) {
    const scope = contextColumn(name)?.scope ?? 'frame'
    aspects[scope === 'frame' ? 'record' : scope].push(name)
  }
  const shared = SHARED.filter(name => columns.includes(name))
  return Object.values(aspects)
    .filter(aspect => aspect.length > 0)
    .map(aspect => [...new Set([...shared, ...aspect])])
}
