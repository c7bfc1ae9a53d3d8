// Scores saved detectors, then trains, and prints the results. Run by tensorflow.test.ts.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import {
  catalogEntry,
  createDetector,
  DetectorError,
  loadDetector,
  rocAuc,
  type DetectorKind
} from '../../models/index.js'
import { toySet } from './toy-set.js'

/** Result of one training. */
type Outcome = { auc: number } | { code: string; message: string }

/** Output of the program, as JSON. */
export interface RouteReport {
  /** Scores of the saved detectors. */
  scores: number[][]
  /** TensorFlow.js modules loaded after scoring. */
  loadedBeforeTraining: string[]
  loadedAfterTraining: string[]
  /** The catalog's description of TensorFlow.js, or its error. */
  prepared: string
  trained: { autoencoder: Outcome; 'so-gaal': Outcome; iforest: { auc: number } }
}

async function train(kind: DetectorKind, parameters: Record<string, unknown>): Promise<Outcome> {
  const toy = toySet()
  const detector = createDetector(kind, parameters)
  try {
    await detector.fit(toy.train)
  } catch (error) {
    if (!(error instanceof DetectorError)) throw error
    return { code: error.code, message: error.message }
  }
  return { auc: rocAuc(toy.testLabels, detector.decisionFunction(toy.test)) }
}

function loaded(): string[] {
  return Object.keys(createRequire(import.meta.url).cache).filter(file => file.includes('@tensorflow'))
}

const saved = JSON.parse(readFileSync(process.argv[2], 'utf8')) as { detector: unknown; rows: number[][] }[]
const report: RouteReport = {
  scores: saved.map(({ detector, rows }) => [...loadDetector(detector).decisionFunction(rows)]),
  loadedBeforeTraining: loaded(),
  prepared:
    (await catalogEntry('autoencoder')
      .prepare?.()
      .catch((error: unknown) => (error as Error).message)) ?? '',
  trained: {
    autoencoder: await train('autoencoder', { epochs: 5 }),
    'so-gaal': await train('so-gaal', { stopEpochs: 8 }),
    iforest: (await train('iforest', {})) as { auc: number }
  },
  // Must be last: properties are evaluated in order.
  loadedAfterTraining: loaded()
}
process.stdout.write(JSON.stringify(report))
