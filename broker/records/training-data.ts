// The records that `train` learns from, in memory: copies, labelled, and no more than fit.

import { Random } from '../../models/random.js'
import { PAYLOAD_CAP_BYTES } from '../../src/features/payload.js'
import type { TrafficRecord } from '../../src/record.js'
import type { Label, Labels } from '../labels/label.js'
import { readRecordFile, type RecordInput } from './record-input.js'

/** Records kept, which take 1.3 GB while an isolation forest learns; of more, a uniform sample is kept. */
export const MAX_TRAINING_RECORDS = 500_000

/** What was read. */
export interface TrainingData {
  /** In the order of the files. */
  records: TrafficRecord[]
  /** One for each record; undefined where none were given. */
  labels: Label[] | undefined
  /** Records read, those included that did not fit. */
  seen: number
}

interface Kept {
  index: number
  record: TrafficRecord
  label: Label
}

/**
 * Reads all records of the files, but for those that carry only the detection's own messages.
 *
 * @param seed of the sample (Vitter's algorithm R) that is kept of more than `most` records
 * @throws OperatorError where a file or its labels do not serve
 */
export async function readTrainingData(
  files: readonly string[],
  input: RecordInput,
  labels: Labels | undefined,
  seed: number,
  most = MAX_TRAINING_RECORDS
): Promise<TrainingData> {
  const random = new Random(seed)
  const kept: Kept[] = []
  let seen = 0
  for (const file of files) {
    labels?.begin(file)
    for await (const records of readRecordFile(file, input)) {
      for (const record of records) {
        const label = labels?.of(record) ?? null
        if (record.own) continue
        const index = seen++
        const place = kept.length < most ? kept.length : random.integer(seen)
        if (place < most) kept[place] = { index, record: copyOf(record), label }
      }
    }
  }
  kept.sort((a, b) => a.index - b.index)
  return {
    records: kept.map(({ record }) => record),
    labels: labels === undefined ? undefined : kept.map(({ label }) => label),
    seen
  }
}

/** The record with a payload of its own, as far as models look. */
function copyOf(record: TrafficRecord): TrafficRecord {
  const { features } = record
  const { mqtt_msg: message, context } = features
  if (message === null && (context?.payloads ?? null) === null) return record
  return {
    ...record,
    features: {
      ...features,
      mqtt_msg: message === null ? null : new Uint8Array(message.subarray(0, PAYLOAD_CAP_BYTES)),
      ...(context !== undefined && {
        context: {
          ...context,
          payloads: context.payloads?.map(sample => ({ ...sample, payload: new Uint8Array(sample.payload) })) ?? null
        }
      })
    }
  }
}
