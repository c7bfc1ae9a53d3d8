// Several experts that judge the same records together, each by what one aspect of them says.

import { createHash } from 'node:crypto'
import { catalogEntry, DetectorError, type DetectorKind, type OutlierDetector } from '../../models/index.js'
import { contextColumn } from '../features/context-columns.js'
import { needsContext, type ColumnName, type Variant } from '../features/columns.js'
import type { RecordFeatures } from '../features/schema.js'
import { Expert, type ColumnContribution, type ExpertJson, type ExpertOptions, type Scored } from './expert.js'

/** What to learn, and how; `features` as column names. */
export interface PanelPlan extends Omit<ExpertOptions, 'features' | 'calibrated'> {
  columns: readonly ColumnName[]
}

/** Columns that every aspect has: what is usual one way is not the other way. */
const SHARED: readonly ColumnName[] = ['frame_up']

/**
 * The experts on one kind of records: frames of a tap, or packets of the broker alone.
 *
 * A model of Table I has one, as the paper has. With columns of context there is one for the record itself,
 * one for its connection, one for its address, and a record's score is the highest: what is
 * strange in one respect would be drowned among the columns of all others in one distance over them.
 */
export class Panel {
  private constructor(
    /** One at least. */
    readonly experts: readonly Expert[]
  ) {}

  /** @throws OperatorError for parameters, labels or data that do not serve */
  static async fit(records: readonly RecordFeatures[], { columns, ...plan }: PanelPlan): Promise<Panel> {
    const isApart = needsContext(columns) && !catalogEntry(plan.detector).supervised
    const experts: Expert[] = []
    for (const aspect of isApart ? aspectsOf(columns) : [columns]) {
      experts.push(await Expert.fit(records, { ...plan, features: aspect.join(), calibrated: isApart }))
    }
    return new Panel(experts)
  }

  /**
   * The panel that `toJSON` saved.
   * @throws DetectorError `state` where it is none for such records and of this detector
   * @throws OperatorError `model-features` where it was made for other features
   */
  static fromJSON(json: unknown, variant: Variant, detector: DetectorKind): Panel {
    if (!Array.isArray(json) || json.length === 0)
      throw new DetectorError('state', `experts.${variant} is no list of experts`)
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
          `experts.${variant} has a ${expert.detector.kind} for ${expert.variant} records`
        )
      }
    }
    if (experts.length > 1 && first.tail === undefined)
      throw new DetectorError('state', `experts.${variant} have no scale in common`)
    return new Panel(experts)
  }

  /** Whether scores are surprise, which all such panels have in common. */
  get isCalibrated(): boolean {
    return this.experts[0].tail !== undefined
  }

  /** Rows that each expert was trained on. */
  get rows(): number {
    return this.experts[0].training.rows
  }

  /** Names of the columns that the experts look at, each once. */
  get columns(): ColumnName[] {
    return [...new Set(this.experts.flatMap(({ encoding }) => encoding.columns))]
  }

  /** Names of the columns asked for that no expert looks at, because they never changed in training. */
  get dropped(): ColumnName[] {
    const columns = this.columns
    return [...new Set(this.experts.flatMap(({ encoding }) => encoding.dropped))].filter(
      name => !columns.includes(name)
    )
  }

  /** What all its experts are. */
  get detector(): OutlierDetector {
    return this.experts[0].detector
  }

  /** Names the training data: SHA-256, in hex. */
  get digest(): string {
    const digests = this.experts.map(({ training }) => training.digest)
    return digests.length === 1 ? digests[0] : createHash('sha256').update(digests.join()).digest('hex')
  }

  /** @param heldOut whether these are the records of the training, see {@link Expert.score} */
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

  /** The columns that raise the record's score most: of the expert that finds it most abnormal. */
  contributions(record: RecordFeatures): ColumnContribution[] {
    const scores = this.experts.map(expert => expert.score([record]).scores[0])
    return this.experts[scores.indexOf(Math.max(...scores))].contributions(record)
  }

  toJSON(): ExpertJson[] {
    return this.experts.map(expert => expert.toJSON())
  }
}

/** The columns as each expert gets them: of the record itself, its connection, its address. */
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
