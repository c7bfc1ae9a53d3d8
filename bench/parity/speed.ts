// How fast a capture becomes lines of CSV, the reading of the file included.
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { recordWriter } from '../../src/features/record-writer.js'
import { readRecords } from '../../src/join/capture-records.js'

/** Long enough for the compiler to have settled. */
const WARM_UP_MS = 2000
const MEASURE_MS = 5000
const READ_BYTES = 262_144

/** Speed of `artemis extract` without its start, per second of processor time: a busy machine does not blur it. */
export interface ExtractSpeed {
  framesPerSecond: number
  bytesPerSecond: number
}

/** Reads the file again and again for some seconds. */
export async function measureSpeed (file: string, ports: readonly number[]): Promise<ExtractSpeed> {
  const { size } = await stat(file)
  const run = async (durationMs: number): Promise<ExtractSpeed> => {
    const start = performance.now()
    const cpuBefore = process.cpuUsage()
    let frames = 0
    let rounds = 0
    while (performance.now() - start < durationMs) {
      frames += await extract(file, ports)
      rounds++
    }
    const { user, system } = process.cpuUsage(cpuBefore)
    const seconds = (user + system) / 1e6
    return { framesPerSecond: frames / seconds, bytesPerSecond: rounds * size / seconds }
  }
  await run(WARM_UP_MS)
  return run(MEASURE_MS)
}

async function extract (file: string, ports: readonly number[]): Promise<number> {
  const writer = recordWriter('csv', false)
  let frames = 0
  for await (const records of readRecords(createReadStream(file, { highWaterMark: READ_BYTES }), { ports })) {
    const lines = records.map(record => writer.line(record, file)).join('')
    if (lines !== '') frames += records.length
  }
  return frames
}
