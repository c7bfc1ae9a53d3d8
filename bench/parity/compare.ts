// Decodes one capture with both decoders and compares frame by frame.
import { OperatorError } from '../../src/errors.js'
import { ReferenceColumns, differences, textOf } from './columns.js'
import { exceptionOf } from './exceptions.js'
import type { DifferingFrame } from './exceptions.js'
import { ownRecords } from './own-records.js'
import type { OwnRecord } from './own-records.js'
import { referenceFrames } from './tshark.js'

/** Result for one capture. */
export interface ComparisonResult {
  file: string
  frames: number
  mqtt: number
  /** Unexplained differences, by column or kind. */
  differences: Map<string, number>
  /** Frames explained by a listed exception, by its name. */
  exceptions: Map<string, number>
  /** Descriptions of the first unexplained frames. */
  examples: string[]
  /** Error that stopped our decoder before the end of the file. */
  fault: string | null
}

const EXAMPLES = 100

/** Compares all columns of all TCP frames of `ports`. */
export async function compareWithTshark(file: string, ports: readonly number[]): Promise<ComparisonResult> {
  const result: ComparisonResult = {
    file,
    frames: 0,
    mqtt: 0,
    differences: new Map(),
    exceptions: new Map(),
    examples: [],
    fault: null
  }
  const differing: DifferingFrame[] = []
  const columns = new ReferenceColumns()
  const records = readableRecords(file, ports, result)
  let record = await records.next()
  /** Returns our record of frame `number`; counts earlier ones as missing in tshark. */
  const take = async (number: number): Promise<OwnRecord | null> => {
    for (; record.done !== true && record.value.frame <= number; record = await records.next()) {
      if (record.value.frame === number) return record.value
      count(result.differences, 'record missing in tshark')
    }
    return null
  }
  for await (const reference of referenceFrames(file, ports)) {
    const own = await take(reference.number)
    if (own !== null) record = await records.next()
    const expected = columns.of(reference)
    result.frames++
    if (reference.layers.has('mqtt')) result.mqtt++
    const names = own === null ? [] : differences(own.values, expected)
    if (own === null || names.length > 0) differing.push({ reference, own, expected, columns: names })
  }
  await take(Infinity)
  classify(differing, result)
  return result
}

/** Separates listed exceptions from other differences; runs last, when the state of each stream is known. */
function classify(differing: readonly DifferingFrame[], result: ComparisonResult): void {
  for (const frame of differing) {
    const exception = exceptionOf(frame)
    if (exception !== null) {
      count(result.exceptions, exception.name)
      continue
    }
    if (frame.own === null) count(result.differences, 'record only in tshark')
    for (const name of frame.columns) count(result.differences, name)
    if (result.examples.length < EXAMPLES) result.examples.push(describeFrame(frame))
  }
}

async function* readableRecords(
  file: string,
  ports: readonly number[],
  result: ComparisonResult
): AsyncGenerator<OwnRecord> {
  try {
    yield* ownRecords(file, ports)
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error
    result.fault = error.message
  }
}

function count(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1)
}

function describeFrame({ reference, own, expected, columns }: DifferingFrame): string {
  const parts = columns.map(
    name => `${name} ${clip(own === null ? '' : textOf(own.values[name]))} (tshark ${clip(expected.get(name) ?? '')})`
  )
  return `frame ${reference.number}: ${own === null ? 'no record' : parts.join(', ')}`
}

function clip(text: string): string {
  return text.length > 24 ? `${text.slice(0, 24)}...` : text || '-'
}
