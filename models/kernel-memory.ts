// Memory of the kernels, with a fixed layout.

import type { Kernels } from './kernels.js'
import { plainKernels } from './plain-kernels.js'

const PAGE_BYTES = 65_536
/** Blocks are aligned to vectors. */
const ALIGNMENT = 16

/** A fixed memory from which blocks are allocated in sequence, and the kernels that use it. */
export class KernelMemory {
  readonly kernels: Kernels
  readonly #buffer: ArrayBuffer
  #used = 0

  /**
   * @param sizes bytes of each block to allocate
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

  /** Allocates the next block as single floats, all 0. Its `byteOffset` is its address. */
  floats(count: number): Float32Array {
    return new Float32Array(this.#buffer, this.#take(4 * count), count)
  }

  /** Allocates the next block as doubles. */
  doubles(count: number): Float64Array {
    return new Float64Array(this.#buffer, this.#take(8 * count), count)
  }

  /** Allocates the next block as integers. */
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
