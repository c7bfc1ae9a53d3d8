// Encodes an application payload as a numeric vector: its bytes, and how usual they are on its topic.

import { DetectorError } from '../../models/index.js'
import { StateReader } from '../../models/state.js'
import { OperatorError } from '../errors.js'
import { payloadFigures, type PayloadFigures, type PayloadSample } from './payload-sample.js'
import { PayloadProfile, type PayloadProfileJson, type PayloadDeviation } from './payload-profile.js'

/** Input of a column. */
interface MessageView extends PayloadFigures, PayloadDeviation {
  length: number
}

/** A payload column. */
export interface MessageColumn {
  readonly name: string
  readonly about: string
  readonly read: (view: MessageView) => number
}

/** The payload columns in order. The messages of a frame are scored separately, and the highest score counts. */
export const MESSAGE_COLUMNS: readonly MessageColumn[] = Object.freeze([
  { name: 'payload_length', about: 'ln(1 + length in bytes)', read: ({ length }: MessageView) => Math.log1p(length) },
  { name: 'payload_entropy', about: 'entropy, bits per byte', read: ({ entropy }: MessageView) => entropy },
  { name: 'payload_digits', about: 'share of digits', read: ({ digits }: MessageView) => digits },
  { name: 'payload_letters', about: 'share of ASCII letters', read: ({ letters }: MessageView) => letters },
  {
    name: 'payload_punctuation',
    about: 'share of other printable characters',
    read: ({ punctuation }: MessageView) => punctuation
  },
  { name: 'payload_binary', about: 'share of all other bytes', read: ({ binary }: MessageView) => binary },
  {
    name: 'payload_likelihood',
    about: 'mean log-likelihood per byte under the byte pairs of all training payloads',
    read: ({ likelihood }: MessageView) => likelihood
  },
  {
    name: 'payload_surprise',
    about: 'how far that is below the usual value on its topic, standard deviations',
    read: ({ surprise }: MessageView) => surprise
  },
  {
    name: 'payload_length_surprise',
    about: 'how far ln(1 + length) is from the usual value on its topic, standard deviations',
    read: ({ lengthSurprise }: MessageView) => lengthSurprise
  }
])

/** JSON form of a message encoding. */
export interface MessageEncodingJson {
  messages: string[]
  norms: PayloadProfileJson
}

/** Maps a payload to a vector of finite numbers. */
export class MessageEncoding {
  /** Constant columns that were excluded: none. */
  readonly dropped: readonly string[] = []
  readonly leastDeviations: Float64Array
  readonly #columns: readonly MessageColumn[]

  private constructor(
    /** Names of the vector's columns, in order. */
    readonly columns: readonly string[],
    readonly profile: PayloadProfile
  ) {
    this.#columns = MESSAGE_COLUMNS.filter(({ name }) => columns.includes(name))
    this.leastDeviations = new Float64Array(this.#columns.length)
  }

  /** @throws OperatorError `training-data` without samples */
  static fit(samples: readonly PayloadSample[], columns: readonly string[]): MessageEncoding {
    if (samples.length === 0)
      throw new OperatorError('training-data', 'no payloads to learn from', 'Train on more traffic.')
    const profile = new PayloadProfile()
    for (const sample of samples) profile.learnBytes(sample)
    for (const sample of samples) profile.learnTopic(sample)
    return new MessageEncoding(
      MESSAGE_COLUMNS.map(({ name }) => name).filter(name => columns.includes(name)),
      profile
    )
  }

  /**
   * Restores an encoding saved by `toJSON`.
   *
   * @throws OperatorError `model-features` if it has columns that this version does not know
   * @throws DetectorError `state` if it is not a valid encoding
   */
  static fromJSON(json: unknown): MessageEncoding {
    const reader = new StateReader(json, 'encoding')
    const names = reader.strings('messages')
    const columns = MESSAGE_COLUMNS.map(({ name }) => name).filter(name => names.includes(name))
    if (columns.length === 0) throw new DetectorError('state', 'encoding.messages is empty')
    if (columns.join() !== names.join()) {
      throw new OperatorError(
        'model-features',
        'the model was trained with different payload columns',
        'Train it again with this version.'
      )
    }
    return new MessageEncoding(columns, PayloadProfile.fromJSON(reader.raw('norms')))
  }

  encode(sample: PayloadSample): Float64Array {
    return this.#encode(sample, false)
  }

  /** Encodes a payload of the training data as if it were not in the training data. */
  encodeHeldOut(sample: PayloadSample): Float64Array {
    return this.#encode(sample, true)
  }

  /** Returns the value of a column for explanations: the number, never the payload. */
  shown(_sample: PayloadSample, column: number, row: Float64Array): number {
    return row[column]
  }

  toJSON(): MessageEncodingJson {
    return { messages: [...this.columns], norms: this.profile.toJSON() }
  }

  #encode(sample: PayloadSample, heldOut: boolean): Float64Array {
    const view: MessageView = {
      length: sample.length,
      ...payloadFigures(sample.payload),
      ...this.profile.deviationOf(sample, heldOut)
    }
    return Float64Array.from(this.#columns, ({ read }) => read(view))
  }
}
