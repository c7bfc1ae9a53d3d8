// Loads TensorFlow.js, which only training needs: the native build where it is installed, else WebAssembly.

import util from 'node:util'
import { DetectorError } from './detector.js'
import type { Tf } from './tensor-types.js'

/** A loaded TensorFlow.js, and what computes for it. */
export interface TensorFlow {
  readonly tf: Tf
  readonly backend: 'tfjs-node' | 'wasm'
  /** What kept an installed `@tensorflow/tfjs-node` from being used. */
  readonly nativeFault?: string
}

// As plain strings: the compiler shall not ask for packages that need not be there.
const NATIVE: string = '@tensorflow/tfjs-node'
const CORE: string = '@tensorflow/tfjs-core'
const LAYERS: string = '@tensorflow/tfjs-layers'
const WASM: string = '@tensorflow/tfjs-backend-wasm'

const INSTALL =
  'npm install @tensorflow/tfjs-core @tensorflow/tfjs-layers @tensorflow/tfjs-backend-cpu @tensorflow/tfjs-backend-wasm'

/**
 * Loads TensorFlow.js and makes its fastest backend the current one; cheap once it is loaded.
 * @throws DetectorError `tensorflow` where it is not installed, with the command that installs it
 */
export async function loadTensorFlow(): Promise<TensorFlow> {
  const native = await loadNative()
  if (typeof native === 'object') return { tf: native, backend: 'tfjs-node' }
  const tf = await loadWasm()
  return { tf, backend: 'wasm', ...(native !== undefined && { nativeFault: native }) }
}

/** One line that says what trains: version, backend and, if it applies, why not the native one. */
export function describeTensorFlow({ tf, backend, nativeFault }: TensorFlow): string {
  const fault =
    nativeFault === undefined ? '' : `; @tensorflow/tfjs-node is installed but does not load: ${nativeFault}`
  return `TensorFlow.js ${tf.version_core} on ${backend}${fault}`
}

/** The native build; what is wrong with it; undefined where it is not installed. */
async function loadNative(): Promise<Tf | string | undefined> {
  restoreLegacyUtil()
  try {
    const { default: tf } = (await import(NATIVE)) as { default: Tf }
    await tf.setBackend('tensorflow')
    await tf.ready()
    return tf
  } catch (error) {
    // Without its binary the package is there and throws: WebAssembly serves as well, and the caller is told.
    return isMissing(error, NATIVE) ? undefined : firstLine(error)
  }
}

async function loadWasm(): Promise<Tf> {
  try {
    const tf = (await import(CORE)) as Tf
    // For the gradients, which it registers with the core.
    await import(LAYERS)
    await import(WASM)
    if (!(await tf.setBackend('wasm')))
      throw new DetectorError('tensorflow', 'the WebAssembly backend of TensorFlow.js does not start')
    return tf
  } catch (error) {
    if (error instanceof DetectorError) throw error
    throw new DetectorError(
      'tensorflow',
      isMissing(error, '@tensorflow/')
        ? `this detector is trained with TensorFlow.js, which is not installed; ${INSTALL}`
        : `TensorFlow.js does not load: ${firstLine(error)}; ${INSTALL}`,
      { cause: error }
    )
  }
}

/** tfjs-node 4.22 calls two functions that Node.js 23 took out of `util`. */
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
