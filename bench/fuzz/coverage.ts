// Which blocks of the code under test ran: V8's precise coverage, sampled between generations.
import { Session } from 'node:inspector'
import type { Profiler } from 'node:inspector'

const UNDER_TEST = /\/dist\/((?:src|broker)\/.+)$/

/**
 * Blocks are known by file and place. To be started before the code under test is loaded: V8 counts
 * only in what it compiles afterwards.
 */
export class BlockCoverage {
  readonly #session = new Session()
  readonly #known = new Set<string>()
  readonly #covered = new Set<string>()

  constructor () {
    this.#session.connect()
    this.#post('Profiler.enable')
    this.#post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  }

  /** The blocks of `files` that ran since the last call. */
  ran (files: readonly string[]): Set<string> {
    const ran = new Set<string>()
    const { result } = this.#post('Profiler.takePreciseCoverage') as Profiler.TakePreciseCoverageReturnType
    for (const { url, functions } of result) {
      const file = UNDER_TEST.exec(url)?.[1]
      if (file === undefined || !files.includes(file)) continue
      for (const { ranges } of functions) {
        for (const { startOffset, endOffset, count } of ranges) {
          const block = `${file}:${startOffset}-${endOffset}`
          this.#known.add(block)
          if (count > 0) ran.add(block)
        }
      }
    }
    return ran
  }

  /** Those that ran for the first time since the last call. */
  fresh (files: readonly string[]): Set<string> {
    const fresh = new Set([...this.ran(files)].filter(block => !this.#covered.has(block)))
    for (const block of fresh) this.#covered.add(block)
    return fresh
  }

  /** Blocks of `files` that ran, and all that are known. */
  of (files: readonly string[]): { covered: number, known: number } {
    const count = (blocks: Set<string>): number => [...blocks].filter(block => files.includes(block.slice(0, block.indexOf(':')))).length
    return { covered: count(this.#covered), known: count(this.#known) }
  }

  /** The blocks of `files` that never ran. */
  missed (files: readonly string[]): string[] {
    return [...this.#known].filter(block => !this.#covered.has(block) && files.includes(block.slice(0, block.indexOf(':'))))
  }

  stop (): void {
    this.#session.disconnect()
  }

  #post (method: string, parameters?: object): unknown {
    let answer: unknown
    this.#session.post(method, parameters, (error, result) => {
      if (error !== null) throw new Error(`the inspector refused ${method}: ${error.message}`)
      answer = result
    })
    return answer
  }
}
