// Memory that the kernels work on, laid out once.

import type { Kernels } from './kernels.js'
import { plainKernels } from './plain-kernels.js'

const PAGE_BYTES = 65_536
/** Blocks begin at whole vectors. */
const ALIGNMENT = 16

/** A fixed memory from which blocks are taken one after another, and the kernels that work on it. */
export class KernelMemory {
  readonly kernels: Kernels
  readonly #buffer: ArrayBuffer
  #used = 0

  /**
   * @param sizes bytes of each block that will be taken
   * @param module the compiled kernels; undefined for plain code
   */
  constructor(sizes: readonly number[], module: WebAssembly.Module | undefined) {
    const pages = Math.ceil(sizes.reduce((sum, size) => sum + aligned(size), ALIGNMENT) / PAGE_BYTES)
    if (module === undefined) {
      this.#buffer = new ArrayBuffer(pages * PAGE_BYTES)
      this.kernels = plainKernels(this.#buffer)
    } else {
      const memory = new WebAssembly.Memory({ initial: pages, maximum: pages })
      this.#buffer = memory.buffer
      this.kernels = new WebAssembly.Instance(module, { host: { memory } }).exports as unknown as Kernels
    }
  }

  /** The next block, of single floats, all 0; its `byteOffset` is its address. */
  floats(count: number): Float32Array {
    return new Float32Array(this.#buffer, this.#take(4 * count), count)
  }

  /** The next block, of doubles. */
  doubles(count: number): Float64Array {
    return new Float64Array(this.#buffer, this.#take(8 * count), count)
  }

  /** The next block, of integers. */
  integers(count: number): Int32Array {
    return new Int32Array(this.#buffer, this.#take(4 * count), count)
  }

  #take(bytes: number): number {
    const start = this.#used
    this.#used += aligned(bytes)
    return start
  }
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT
}
