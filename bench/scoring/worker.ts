// Measures scoring in a worker thread, where the broker runs detection.

import { once } from 'node:events'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { loadDetector, type DetectorJson, type OutlierDetector } from '../../models/index.js'
import { measureSpeed } from './ours.js'

interface Work {
  detector: DetectorJson
  rows: Float64Array[]
  batch: number
  seconds: number
}

/** Runs `measureSpeed` in a worker thread, without the start of the thread. */
export async function measureInWorker(
  detector: OutlierDetector,
  rows: readonly Float64Array[],
  batch: number,
  seconds: number
): Promise<number> {
  const work: Work = { detector: detector.toJSON(), rows: [...rows], batch, seconds }
  const worker = new Worker(new URL(import.meta.url), { workerData: work })
  const [rowsPerSecond] = (await once(worker, 'message')) as [number]
  return rowsPerSecond
}

if (!isMainThread) {
  const { detector, rows, batch, seconds } = workerData as Work
  const loaded = loadDetector(detector)
  // Warm up the compiler.
  measureSpeed(loaded, rows, batch, seconds)
  parentPort?.postMessage(measureSpeed(loaded, rows, batch, seconds))
}
