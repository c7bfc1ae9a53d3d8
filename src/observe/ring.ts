// A byte ring between two threads: one writer that never waits, one reader.

const HEAD = 0
const TAIL = 1
const DROPPED = 2
const ASLEEP = 3
const CONTROL_BYTES = 16
const LENGTH_BYTES = 4
const PADDING = 0xffffffff

/** What both threads share. */
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

/** The writing end. An entry that finds no room is dropped and counted: the writer never waits. */
export class RingWriter {
  readonly bytes: Uint8Array
  readonly view: DataView
  readonly #control: Int32Array
  /** Bytes. */
  readonly capacity: number
  #head = 0
  #next = 0
  readonly #wake: () => void

  /**
   * @param wake called when the reader sleeps and there is something to read
   */
  constructor(memory: RingMemory, wake: () => void) {
    this.#wake = wake
    this.#control = new Int32Array(memory.control)
    this.bytes = new Uint8Array(memory.data)
    this.view = new DataView(memory.data)
    this.capacity = memory.data.byteLength
  }

  /** Entries dropped since the ring was made. */
  get dropped(): number {
    return Atomics.load(this.#control, DROPPED)
  }

  /**
   * Reserves room for one entry.
   *
   * @param spare bytes that must stay free beside it, for entries that matter more
   * @returns the offset in `bytes` at which to write it, or -1 when the ring is full
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

  /** Hands the reserved entry to the reader. */
  commit(): void {
    this.#head = this.#next
    Atomics.store(this.#control, HEAD, this.#head | 0)
    if (Atomics.load(this.#control, ASLEEP) === 1 && Atomics.exchange(this.#control, ASLEEP, 0) === 1) this.#wake()
  }
}

/** The reading end. */
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

  /** Entries the writer had to drop since the ring was made. */
  get dropped(): number {
    return Atomics.load(this.#control, DROPPED)
  }

  /**
   * Reads what is there.
   *
   * @param onEntry gets the ring's memory and where the entry lies; it must copy what it keeps
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
   * Asks to be woken at the next entry.
   *
   * @returns false where something came in the meantime: drain again instead of sleeping
   */
  sleep(): boolean {
    Atomics.store(this.#control, ASLEEP, 1)
    if (Atomics.load(this.#control, HEAD) >>> 0 === this.#tail) return true
    Atomics.store(this.#control, ASLEEP, 0)
    return false
  }
}
