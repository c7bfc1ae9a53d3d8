// Reads the training records into memory, with their labels, up to a maximum number.

import { Random } from '../../models/random.js'
import { PAYLOAD_CAP_BYTES } from '../../src/features/payload.js'
import type { TrafficRecord } from '../../src/record.js'
import type { Label, Labels } from '../labels/label.js'
import { readRecordFile, type RecordInput } from './record-input.js'

/** Maximum number of records: 1.3 GB while an isolation forest trains. Of more records, a uniform sample is used. */
export const MAX_TRAINING_RECORDS = 500_000

/** Training records and labels. */
export interface TrainingData {
  /** In file order. */
  records: TrafficRecord[]
  /** One label per record; undefined without labels. */
  labels: Label[] | undefined
  /** Number of records read, including those not sample. */
  seen: number
}

interface SampledRecord {
  index: number
  record: TrafficRecord
  label: Label
}

/**
 * Reads all records of the files, except those with only the detection's own messages.
 *
 * @param seed seed of the sample (Vitter's algorithm R) of more than `limit` records
 * @throws OperatorError if a file or its labels are invalid
 */
export async function readTrainingData(
  files: readonly string[],
  input: RecordInput,
  labels: Labels | undefined,
  seed: number,
  limit = MAX_TRAINING_RECORDS
): Promise<TrainingData> {
  const random = new Random(seed)
  const sample: SampledRecord[] = []
  let seen = 0
  for (const file of files) {
    labels?.start(file)
    for await (const records of readRecordFile(file, input)) {
      for (const record of records) {
        const label = labels?.of(record) ?? null
        if (record.own) continue
        const index = seen++
        const slot = sample.length < limit ? sample.length : random.integer(seen)
        if (slot < limit) sample[slot] = { index, record: copyOf(record), label }
      }
    }
  }
  sample.sort((a, b) => a.index - b.index)
  return {
    records: sample.map(({ record }) => record),
    labels: labels === undefined ? undefined : sample.map(({ label }) => label),
    seen
  }
}

/** Copies a record with its payloads, up to the length that models use. */
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
          payloads: context.payloads?.map(item => ({ ...item, payload: new Uint8Array(item.payload) })) ?? null
        }
      })
    }
  }
}
