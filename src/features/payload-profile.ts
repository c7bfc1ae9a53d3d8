// What payloads are like on each topic: how likely their bytes are, and how long they are.

import { DetectorError } from '../../models/index.js'
import { StateReader, toBase64 } from '../../models/state.js'
import { NO_TOPIC, type PayloadSample } from './payload-sample.js'
import { PayloadModel, type PayloadModelJson } from './payload.js'

/**
 * Topics, and topics without their last level, whose payloads are known apart; of further ones only the mean of all is
 * known.
 */
export const TOPICS_CAP = 4_096

/** With fewer payloads a topic is judged by its parent, and that by all payloads. */
const TELLING_PAYLOADS = 5

/**
 * Standard deviations below which a difference says nothing: of a mean log-likelihood per byte, and of ln(1 + length).
 */
const LEAST_DEVIATION = 0.25
const LEAST_LENGTH_DEVIATION = 0.1

/** With so many payloads a topic's deviations count as twice as wide. */
const FEW = 10

/** How usual a payload is. */
export interface PayloadDeviation {
  /** Mean log-likelihood per byte under all training payloads, at most 0. */
  likelihood: number
  /** How far that lies below what is usual on its topic, in standard deviations; at least 0. */
  surprise: number
  /** How far ln(1 + length) lies from what is usual on its topic, in standard deviations; at least 0. */
  lengthSurprise: number
}

/** What `PayloadNorms.toJSON` gives. */
export interface PayloadProfileJson {
  model: PayloadModelJson
  /** Hashes of topics and parents; the norm of all payloads first, under 0. Uint32 as base64. */
  topics: string
  /**
   * Count, mean and sum of squared deviations of the log-likelihood, and those of ln(1 + length), for each; Float64 as
   * base64.
   */
  norms: string
}

/** Mean and spread of a figure (Welford 1962). */
class Norm {
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

  /** Standard deviations of a value above the mean; wider ones where few values say how wide they are. */
  above(value: number, least: number): number {
    return (
      (value - this.mean) /
      (Math.max(least, Math.sqrt(this.squares / Math.max(1, this.count))) * (1 + FEW / Math.max(1, this.count)))
    )
  }
}

class TopicNorm {
  constructor(
    readonly likelihood = new Norm(),
    readonly length = new Norm()
  ) {}
}

/** The norm of all payloads: what holds for a topic that is not known. */
const ALL = NO_TOPIC

/** Learns in two passes: the bytes of all payloads, then how each topic's payloads stand among them. */
export class PayloadProfile {
  /** Topics not learnt for want of room. */
  dropped = 0
  readonly #topics = new Map<number, TopicNorm>([[ALL, new TopicNorm()]])

  constructor(readonly model = new PayloadModel()) {}

  /** @throws DetectorError `state` where `toJSON` did not give it */
  static fromJSON(json: unknown): PayloadProfile {
    const reader = new StateReader(json, 'payload')
    const norms = new PayloadProfile(PayloadModel.fromJSON(reader.raw('model')))
    const topics = reader.array('topics', Uint32Array)
    const figures = reader.array('norms', Float64Array, topics.length * 6)
    if (topics[0] !== ALL || topics.length > TOPICS_CAP + 1)
      throw new DetectorError('state', 'payload.topics is no list of topics')
    topics.forEach((topic, i) => {
      const [count, mean, squares, lengths, lengthMean, lengthSquares] = figures.subarray(6 * i)
      norms.#topics.set(
        topic,
        new TopicNorm(new Norm(count, mean, squares), new Norm(lengths, lengthMean, lengthSquares))
      )
    })
    return norms
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
      const norm = this.#normToLearn(hash)
      norm?.likelihood.add(likelihood)
      norm?.length.add(length)
    }
  }

  /** @param heldOut whether the payload was learnt, and is to be judged as if it had not been */
  standings({ topic, parent, length, payload }: PayloadSample, heldOut: boolean): PayloadDeviation {
    const likelihood = heldOut ? this.model.scoreHeldOut(payload) : this.model.score(payload)
    const norm = this.#normOf(topic, parent)
    return {
      likelihood,
      surprise: Math.max(0, -norm.likelihood.above(likelihood, LEAST_DEVIATION)),
      lengthSurprise: Math.abs(norm.length.above(Math.log1p(length), LEAST_LENGTH_DEVIATION))
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

  #normToLearn(hash: number): TopicNorm | undefined {
    const known = this.#topics.get(hash)
    if (known !== undefined) return known
    if (this.#topics.size > TOPICS_CAP) {
      this.dropped++
      return undefined
    }
    const norm = new TopicNorm()
    this.#topics.set(hash, norm)
    return norm
  }

  #normOf(topic: number, parent: number): TopicNorm {
    for (const hash of [topic, parent]) {
      const norm = this.#topics.get(hash)
      if (norm !== undefined && norm.likelihood.count >= TELLING_PAYLOADS) return norm
    }
    return this.#topics.get(ALL) as TopicNorm
  }
}
