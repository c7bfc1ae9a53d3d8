// Whether TensorFlow.js is there to train with, and what to say where it is not.

import { DetectorError } from '../../models/index.js'
import { loadTensorFlow, type TensorFlow } from '../../models/tensorflow.js'
import { skipReason } from './programs.js'

/** The one that training takes on this machine; undefined where it is not installed. */
export const tensorflow: TensorFlow | undefined = await loadTensorFlow().catch((error: unknown) => {
  if (error instanceof DetectorError) return undefined
  throw error
})

/** The reason to skip a test that trains with TensorFlow.js, or false where it can: `{ skip: tensorflowMissing() }`. */
export function tensorflowMissing(): string | false {
  return tensorflow === undefined && skipReason('TensorFlow.js is not installed: npm install --include=optional')
}
