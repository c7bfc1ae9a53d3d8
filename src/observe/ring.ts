// A ring buffer between two threads: one writer that never blocks, one reader.

const HEAD = 0
const TAIL = 1
const DROPPED = 2
const ASLEEP = 3
const CONTROL_BYTES = 16
const LENGTH_BYTES = 4
const PADDING = 0xffffffff

/** Memory shared by both threads. */
export interface RingMemory {
  control: SharedArrayBuffer
  data: SharedArrayBuffer
}

/**
 * Allocates a ring.
 *
 * @param bytes capacity, a power of two
 */
export function allocateRing(bytes: number): RingMemory {
  if (bytes < 64 || (bytes & (bytes - 1)) !== 0)
    throw new RangeError(`ring capacity must be a power of two, not ${bytes}`)
  return { control: new SharedArrayBuffer(CONTROL_BYTES), data: new SharedArrayBuffer(bytes) }
}

function aligned(length: number): number {
  return (length + LENGTH_BYTES + 3) & ~3
}

/** Writing side. Never blocks: if the ring is full, the entry is dropped and counted. */
export class RingWriter {
  readonly bytes: Uint8Array
  readonly view: DataView
  readonly #control: Int32Array
  /** Capacity, bytes. */
  readonly capacity: number
  #head = 0
  #next = 0
  readonly #wake: () => void

  /**
   * @param wake called when an entry is written while the reader sleeps
   */
  constructor(memory: RingMemory, wake: () => void) {
    this.#wake = wake
    this.#control = new Int32Array(memory.control)
    this.bytes = new Uint8Array(memory.data)
    this.view = new DataView(memory.data)
    this.capacity = memory.data.byteLength
  }

  /** Entries dropped since the ring was created. */
  get dropped(): number {
    return Atomics.load(this.#control, DROPPED)
  }

  /**
   * Reserves space for one entry.
   *
   * @param spare additional bytes that must stay free, for more important entries
   * @returns the offset in `bytes` to write to, or -1 if the ring is full
   */
  reserve(length: number, spare = 0): number {
    const needed = aligned(length)
    const at = this.#head & (this.capacity - 1)
    const toEnd = this.capacity - at
    const skipped = needed > toEnd ? toEnd : 0
    const used = (this.#head - Atomics.load(this.#control, TAIL)) >>> 0
    if (needed + skipped + spare > this.capacity - used) {
      Atomics.add(this.#control, DROPPED, 1)
      return -1
    }
    if (skipped > 0) this.view.setUint32(at, PADDING, true)
    const start = skipped > 0 ? 0 : at
    this.view.setUint32(start, length, true)
    this.#next = (this.#head + skipped + needed) >>> 0
    return start + LENGTH_BYTES
  }

  /** Publishes the reserved entry to the reader. */
  commit(): void {
    this.#head = this.#next
    Atomics.store(this.#control, HEAD, this.#head | 0)
    if (Atomics.load(this.#control, ASLEEP) === 1 && Atomics.exchange(this.#control, ASLEEP, 0) === 1) this.#wake()
  }
}

/** Reading side. */
export class RingReader {
  readonly #control: Int32Array
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #capacity: number
  #tail = 0

  constructor(memory: RingMemory) {
    this.#control = new Int32Array(memory.control)
    this.#bytes = new Uint8Array(memory.data)
    this.#view = new DataView(memory.data)
    this.#capacity = memory.data.byteLength
  }

  /** Entries dropped by the writer since the ring was created. */
  get dropped(): number {
    return Atomics.load(this.#control, DROPPED)
  }

  /**
   * Reads the available entries.
   *
   * @param onEntry gets the ring's memory and the entry's position; it must copy what it keeps
   * @returns the number of entries read
   */
  drain(onEntry: (bytes: Uint8Array, view: DataView, start: number, length: number) => void): number {
    let count = 0
    const head = Atomics.load(this.#control, HEAD) >>> 0
    while (this.#tail !== head) {
      const at = this.#tail & (this.#capacity - 1)
      const length = this.#view.getUint32(at, true)
      if (length === PADDING) {
        this.#tail = (this.#tail + this.#capacity - at) >>> 0
      } else {
        onEntry(this.#bytes, this.#view, at + LENGTH_BYTES, length)
        this.#tail = (this.#tail + aligned(length)) >>> 0
        count++
      }
      Atomics.store(this.#control, TAIL, this.#tail | 0)
    }
    return count
  }

  /**
   * Requests a wake-up at the next entry.
   *
   * @returns false if an entry has arrived meanwhile: drain again instead of sleeping
   */
  sleep(): boolean {
    Atomics.store(this.#control, ASLEEP, 1)
    if (Atomics.load(this.#control, HEAD) >>> 0 === this.#tail) return true
    Atomics.store(this.#control, ASLEEP, 0)
    return false
  }
}
