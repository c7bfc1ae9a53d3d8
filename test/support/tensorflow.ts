// Loads TensorFlow.js if it is installed, and gives the reason to skip a test without it.

import { DetectorError } from '../../models/index.js'
import { loadTensorFlow, type TensorFlow } from '../../models/tensorflow.js'
import { skipReason } from './programs.js'

/** The backend that training uses on this machine; undefined if TensorFlow.js is not installed. */
export const tensorflow: TensorFlow | undefined = await loadTensorFlow().catch((error: unknown) => {
  if (error instanceof DetectorError) return undefined
  throw error
})

/** Returns the reason to skip a test that trains with TensorFlow.js, or false: `{ skip: tensorflowMissing() }`. */
export function tensorflowMissing(): string | false {
  return tensorflow === undefined && skipReason('TensorFlow.js is not installed: npm install --include=optional')
}
