// Tracks which code under test ran: V8's precise coverage, sampled between generations.
import { Session } from 'node:inspector'
import type { Profiler } from 'node:inspector'

const UNDER_TEST = /\/dist\/((?:src|broker)\/.+)$/

/** Coverage of a set of files, in characters of the compiled text. */
export interface ReachedText {
  reached: number
  all: number
}

/** Create it before the code under test is loaded: V8 only counts code that it compiles afterwards. */
export class BlockCoverage {
  readonly #session = new Session()
  readonly #covered = new Set<string>()
  /** By file: 1 for each character that ran. */
  readonly #texts = new Map<string, Uint8Array>()

  constructor() {
    this.#session.connect()
    this.#post('Profiler.enable')
    this.#post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  }

  /** Returns the blocks of `files` that ran since the last call, by file and position. */
  ran(files: readonly string[]): Set<string> {
    const ran = new Set<string>()
    const { result } = this.#post('Profiler.takePreciseCoverage') as Profiler.TakePreciseCoverageReturnType
    for (const { url, functions } of result) {
      const file = UNDER_TEST.exec(url)?.[1]
      if (file === undefined) continue
      const ranges = functions.flatMap(({ ranges }) => ranges)
      this.#paint(file, ranges)
      if (!files.includes(file)) continue
      for (const { startOffset, endOffset, count } of ranges)
        if (count > 0) ran.add(`${file}:${startOffset}-${endOffset}`)
    }
    return ran
  }

  /** Returns the blocks that ran for the first time since the last call. */
  newBlocks(files: readonly string[]): Set<string> {
    const newBlocks = new Set([...this.ran(files)].filter(block => !this.#covered.has(block)))
    for (const block of newBlocks) this.#covered.add(block)
    return newBlocks
  }

  of(files: readonly string[]): ReachedText {
    const texts = files.map(file => this.#texts.get(file) ?? new Uint8Array(0))
    return {
      reached: texts.reduce((sum, text) => sum + text.reduce((count, character) => count + character, 0), 0),
      all: texts.reduce((sum, text) => sum + text.length, 0)
    }
  }

  /** Returns the ranges of a file that never ran: first character and the one after the last. */
  missed(file: string): [start: number, end: number][] {
    const text = this.#texts.get(file) ?? new Uint8Array(0)
    const missed: [number, number][] = []
    for (let start = text.indexOf(0); start !== -1;) {
      const next = text.indexOf(1, start)
      const end = next === -1 ? text.length : next
      missed.push([start, end])
      start = text.indexOf(0, end)
    }
    return missed
  }

  /** Inner ranges follow outer ones and override them. */
  #paint(file: string, ranges: readonly Profiler.CoverageRange[]): void {
    const length = ranges.reduce((most, { endOffset }) => Math.max(most, endOffset), 0)
    const known = this.#texts.get(file) ?? new Uint8Array(0)
    const text = new Uint8Array(Math.max(length, known.length))
    for (const { startOffset, endOffset, count } of ranges) text.fill(count > 0 ? 1 : 0, startOffset, endOffset)
    for (let i = 0; i < known.length; i++) text[i] |= known[i]
    this.#texts.set(file, text)
  }

  stop(): void {
    this.#session.disconnect()
  }

  #post(method: string, parameters?: object): unknown {
    let answer: unknown
    this.#session.post(method, parameters, (error, result) => {
      if (error !== null) throw new Error(`Inspector call ${method} failed: ${error.message}`)
      answer = result
    })
    return answer
  }
}
