// An application payload as a vector of numbers: what its bytes are like, and how usual that is on its topic.

import { DetectorError } from '../../models/index.js'
import { StateReader } from '../../models/state.js'
import { OperatorError } from '../errors.js'
import { payloadFigures, type PayloadFigures, type PayloadSample } from './payload-sample.js'
import { PayloadProfile, type PayloadProfileJson, type PayloadDeviation } from './payload-profile.js'

/** What a column is read from. */
interface MessageView extends PayloadFigures, PayloadDeviation {
  length: number
}

/** A column of messages. */
export interface MessageColumn {
  readonly name: string
  readonly about: string
  readonly read: (view: MessageView) => number
}

/** The columns of messages, in their order. A frame's messages are judged one by one, and the worst counts. */
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
    about: 'how far that lies below what is usual on its topic, standard deviations',
    read: ({ surprise }: MessageView) => surprise
  },
  {
    name: 'payload_length_surprise',
    about: 'how far ln(1 + length) lies from what is usual on its topic, standard deviations',
    read: ({ lengthSurprise }: MessageView) => lengthSurprise
  }
])

/** What `MessageEncoding.toJSON` gives. */
export interface MessageEncodingJson {
  messages: string[]
  norms: PayloadProfileJson
}

/** A fixed way from a payload to a vector of finite numbers. */
export class MessageEncoding {
  /** Columns that never changed; none are left out. */
  readonly dropped: readonly string[] = []
  readonly leastDeviations: Float64Array
  readonly #columns: readonly MessageColumn[]

  private constructor(
    /** Names of the vector's columns, in its order. */
    readonly columns: readonly string[],
    readonly norms: PayloadProfile
  ) {
    this.#columns = MESSAGE_COLUMNS.filter(({ name }) => columns.includes(name))
    this.leastDeviations = new Float64Array(this.#columns.length)
  }

  /** @throws OperatorError `training-data` without samples */
  static fit(samples: readonly PayloadSample[], columns: readonly string[]): MessageEncoding {
    if (samples.length === 0)
      throw new OperatorError('training-data', 'there are no payloads to learn from', 'train on more traffic')
    const norms = new PayloadProfile()
    for (const sample of samples) norms.learnBytes(sample)
    for (const sample of samples) norms.learnTopic(sample)
    return new MessageEncoding(
      MESSAGE_COLUMNS.map(({ name }) => name).filter(name => columns.includes(name)),
      norms
    )
  }

  /**
   * The encoding that `toJSON` saved.
   * @throws OperatorError `model-features` where it has columns that this version does not know
   * @throws DetectorError `state` where it is no encoding
   */
  static fromJSON(json: unknown): MessageEncoding {
    const reader = new StateReader(json, 'encoding')
    const names = reader.strings('messages')
    const columns = MESSAGE_COLUMNS.map(({ name }) => name).filter(name => names.includes(name))
    if (columns.length === 0) throw new DetectorError('state', 'encoding.messages is empty')
    if (columns.join() !== names.join()) {
      throw new OperatorError(
        'model-features',
        'the model was made for other columns of payloads',
        'train it again with this version'
      )
    }
    return new MessageEncoding(columns, PayloadProfile.fromJSON(reader.raw('norms')))
  }

  encode(sample: PayloadSample): Float64Array {
    return this.#encode(sample, false)
  }

  /** The same for a payload of the training data, as if it had not been learnt. */
  encodeHeldOut(sample: PayloadSample): Float64Array {
    return this.#encode(sample, true)
  }

  /** What an explanation shows: the number, and never the payload. */
  shown(_sample: PayloadSample, column: number, row: Float64Array): number {
    return row[column]
  }

  toJSON(): MessageEncodingJson {
    return { messages: [...this.columns], norms: this.norms.toJSON() }
  }

  #encode(sample: PayloadSample, heldOut: boolean): Float64Array {
    const view: MessageView = {
      length: sample.length,
      ...payloadFigures(sample.payload),
      ...this.norms.standings(sample, heldOut)
    }
    return Float64Array.from(this.#columns, ({ read }) => read(view))
  }
}
