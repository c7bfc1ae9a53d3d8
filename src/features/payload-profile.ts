// The payloads that are usual for each topic: likelihood of their bytes, and length.

import { DetectorError } from '../../models/index.js'
import { StateReader, toBase64 } from '../../models/state.js'
import { NO_TOPIC, type PayloadSample } from './payload-sample.js'
import { PayloadModel, type PayloadModelJson } from './payload.js'

/**
 * Maximum number of topics and parent topics with their own statistics. Other topics use the statistics of all
 * payloads.
 */
export const TOPICS_CAP = 4_096

/** Minimum payloads of a topic. Below it the parent topic is used, then all payloads. */
const MIN_TOPIC_PAYLOADS = 5

/** Minimum standard deviations: of the mean log-likelihood per byte, and of ln(1 + length). */
const MIN_DEVIATION = 0.25
const MIN_LENGTH_DEVIATION = 0.1

/** Number of payloads at which a topic's standard deviations count double. */
const SMALL_SAMPLE = 10

/** How far a payload deviates from the profile. */
export interface PayloadDeviation {
  /** Mean log-likelihood per byte under all training payloads, at most 0. */
  likelihood: number
  /** How far that is below the usual value on its topic, in standard deviations; at least 0. */
  surprise: number
  /** How far ln(1 + length) is from the usual value on its topic, in standard deviations; at least 0. */
  lengthSurprise: number
}

/** JSON form of a {@link PayloadProfile}. */
export interface PayloadProfileJson {
  model: PayloadModelJson
  /** Hashes of topics and parent topics, with 0 for all payloads first. Uint32 as base64. */
  topics: string
  /**
   * For each: count, mean and sum of squared deviations of the log-likelihood, then of ln(1 + length). Float64 as
   * base64.
   */
  norms: string
}

/** Running mean and standard deviation (Welford 1962). */
class RunningStats {
  constructor(
    public count = 0,
    public mean = 0,
    public squares = 0
  ) {}

  add(value: number): void {
    const delta = value - this.mean
    this.mean += delta / ++this.count
    this.squares += delta * (value - this.mean)
  }

  /** Returns standard deviations above the mean. They are widened if there are few values. */
  above(value: number, minimum: number): number {
    return (
      (value - this.mean) /
      (Math.max(minimum, Math.sqrt(this.squares / Math.max(1, this.count))) *
        (1 + SMALL_SAMPLE / Math.max(1, this.count)))
    )
  }
}

class TopicStats {
  constructor(
    readonly likelihood = new RunningStats(),
    readonly length = new RunningStats()
  ) {}
}

/** Key of the statistics of all payloads, used for unknown topics. */
const ALL = NO_TOPIC

/** Learns in two passes: first the bytes of all payloads, then the statistics of each topic. */
export class PayloadProfile {
  /** Topics not learned because the table was full. */
  dropped = 0
  readonly #topics = new Map<number, TopicStats>([[ALL, new TopicStats()]])

  constructor(readonly model = new PayloadModel()) {}

  /** @throws DetectorError `state` if it was not saved by `toJSON` */
  static fromJSON(json: unknown): PayloadProfile {
    const reader = new StateReader(json, 'payload')
    const profile = new PayloadProfile(PayloadModel.fromJSON(reader.raw('model')))
    const topics = reader.array('topics', Uint32Array)
    const figures = reader.array('norms', Float64Array, topics.length * 6)
    if (topics[0] !== ALL || topics.length > TOPICS_CAP + 1)
      throw new DetectorError('state', 'payload.topics is not a valid list of topics')
    topics.forEach((topic, i) => {
      const [count, mean, squares, lengths, lengthMean, lengthSquares] = figures.subarray(6 * i)
      profile.#topics.set(
        topic,
        new TopicStats(new RunningStats(count, mean, squares), new RunningStats(lengths, lengthMean, lengthSquares))
      )
    })
    return profile
  }

  /** First pass. */
  learnBytes({ payload }: PayloadSample): void {
    this.model.learn(payload)
  }

  /** Second pass, over the same payloads. */
  learnTopic({ topic, parent, length: bytes, payload }: PayloadSample): void {
    const likelihood = this.model.scoreHeldOut(payload)
    const length = Math.log1p(bytes)
    for (const hash of new Set([ALL, parent, topic])) {
      const stats = this.#statsToUpdate(hash)
      stats?.likelihood.add(likelihood)
      stats?.length.add(length)
    }
  }

  /**
   * Returns how far a payload deviates.
   *
   * @param heldOut score a payload of the training data as if it were not in the training data
   */
  deviationOf({ topic, parent, length, payload }: PayloadSample, heldOut: boolean): PayloadDeviation {
    const likelihood = heldOut ? this.model.scoreHeldOut(payload) : this.model.score(payload)
    const stats = this.#statsOf(topic, parent)
    return {
      likelihood,
      surprise: Math.max(0, -stats.likelihood.above(likelihood, MIN_DEVIATION)),
      lengthSurprise: Math.abs(stats.length.above(Math.log1p(length), MIN_LENGTH_DEVIATION))
    }
  }

  toJSON(): PayloadProfileJson {
    return {
      model: this.model.toJSON(),
      topics: toBase64(Uint32Array.from(this.#topics.keys())),
      norms: toBase64(
        Float64Array.from(
          [...this.#topics.values()].flatMap(({ likelihood, length }) => [
            likelihood.count,
            likelihood.mean,
            likelihood.squares,
            length.count,
            length.mean,
            length.squares
          ])
        )
      )
    }
  }

  #statsToUpdate(hash: number): TopicStats | undefined {
    const known = this.#topics.get(hash)
    if (known !== undefined) return known
    if (this.#topics.size > TOPICS_CAP) {
      this.dropped++
      return undefined
    }
    const stats = new TopicStats()
    this.#topics.set(hash, stats)
    return stats
  }

  #statsOf(topic: number, parent: number): TopicStats {
    for (const hash of [topic, parent]) {
      const stats = this.#topics.get(hash)
      if (stats !== undefined && stats.likelihood.count >= MIN_TOPIC_PAYLOADS) return stats
    }
    return this.#topics.get(ALL) as TopicStats
  }
}
