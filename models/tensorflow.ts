// Loads TensorFlow.js, which only training needs: the native build if installed, else WebAssembly.

import util from 'node:util'
import { DetectorError } from './detector.js'
import type { Tf } from './tensor-types.js'

/** A loaded TensorFlow.js with its backend. */
export interface TensorFlow {
  readonly tf: Tf
  readonly backend: 'tfjs-node' | 'wasm'
  /** Why an installed `@tensorflow/tfjs-node` is not used. */
  readonly nativeError?: string
}

// As plain strings, so that the compiler does not require optional packages.
const NATIVE: string = '@tensorflow/tfjs-node'
const CORE: string = '@tensorflow/tfjs-core'
const LAYERS: string = '@tensorflow/tfjs-layers'
const WASM: string = '@tensorflow/tfjs-backend-wasm'

const INSTALL =
  'npm install @tensorflow/tfjs-core @tensorflow/tfjs-layers @tensorflow/tfjs-backend-cpu @tensorflow/tfjs-backend-wasm'

/**
 * Loads TensorFlow.js and activates its fastest backend. Fast once it is loaded.
 *
 * @throws DetectorError `tensorflow` if it is not installed, with the command that installs it
 */
export async function loadTensorFlow(): Promise<TensorFlow> {
  const native = await loadNative()
  if (typeof native === 'object') return { tf: native, backend: 'tfjs-node' }
  const tf = await loadWasm()
  return { tf, backend: 'wasm', ...(native !== undefined && { nativeError: native }) }
}

/** Returns one line with the version, the backend and, if applicable, why the native one is not used. */
export function describeTensorFlow({ tf, backend, nativeError: nativeFault }: TensorFlow): string {
  const note = nativeFault === undefined ? '' : `; @tensorflow/tfjs-node is installed but does not load: ${nativeFault}`
  return `TensorFlow.js ${tf.version_core} on ${backend}${note}`
}

/** Returns the native build, its error, or undefined if it is not installed. */
async function loadNative(): Promise<Tf | string | undefined> {
  restoreLegacyUtil()
  try {
    const { default: tf } = (await import(NATIVE)) as { default: Tf }
    await tf.setBackend('tensorflow')
    await tf.ready()
    return tf
  } catch (error) {
    // Without its binary the package exists and throws. WebAssembly is used instead and the error is reported.
    return isMissing(error, NATIVE) ? undefined : firstLine(error)
  }
}

async function loadWasm(): Promise<Tf> {
  try {
    const tf = (await import(CORE)) as Tf
    // Registers the gradients with the core.
    await import(LAYERS)
    await import(WASM)
    if (!(await tf.setBackend('wasm')))
      throw new DetectorError('tensorflow', 'the WebAssembly backend of TensorFlow.js failed to start')
    return tf
  } catch (error) {
    if (error instanceof DetectorError) throw error
    throw new DetectorError(
      'tensorflow',
      isMissing(error, '@tensorflow/')
        ? `training this detector requires TensorFlow.js, which is not installed; run ${INSTALL}`
        : `TensorFlow.js failed to load: ${firstLine(error)}; run ${INSTALL}`,
      { cause: error }
    )
  }
}

/** Restores two functions that tfjs-node 4.22 calls and Node.js 23 removed from `util`. */
function restoreLegacyUtil(): void {
  const legacy = {
    isArray: Array.isArray,
    isNullOrUndefined: (value: unknown) => value === null || value === undefined
  }
  for (const [name, test] of Object.entries(legacy)) {
    if (!(name in util)) Object.defineProperty(util, name, { value: test, configurable: true, writable: true })
  }
}

function isMissing(error: unknown, name: string): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    /^(ERR_)?MODULE_NOT_FOUND$/.test(String(error.code)) &&
    firstLine(error).includes(name)
  )
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split('\n', 1)[0]
}
