// Fuzzes one target: generations of inputs, a corpus of inputs that reached new code, and findings.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Random } from '../../models/random.js'
import type { BlockCoverage } from './coverage.js'
import { HANG, describe, runWithTimeout } from './time-limit.js'
import { minimise, mutate } from './mutation.js'
import type { FuzzTarget } from './target.js'

/** Options of a campaign. */
export interface CampaignOptions {
  inputs: number
  seed: number
  coverage: BlockCoverage
  /** Inputs that failed earlier; the initial corpus. */
  kept: readonly Uint8Array[]
  /** Time limit of a generation of inputs, milliseconds. */
  hangMs?: number
}

/** A violated property or an error, and the shortest known input that causes it. */
export interface Finding {
  what: string
  input: Uint8Array
  /** Number of inputs that caused it. */
  count: number
}

/** Result of a campaign. */
export interface CampaignResult {
  inputs: number
  bytes: number
  /** Processor time, seconds. */
  seconds: number
  /** Number of inputs that reached new code. */
  corpus: number
  /** Share of the code under test that ran, in [0, 1]. */
  reached: number
  /** Heap in use after garbage collection, MB: at a tenth of the inputs, and the highest later. */
  heapEarlyMB: number
  heapLaterMB: number
  /** Time of the slowest input, milliseconds: the best of several runs, to exclude other load. */
  slowestMs: number
  findings: Finding[]
}

const GENERATION = 1_000
const HANG_MS = 20_000
/** Time limit of an input, plus a little for each byte. */
const SLOW_MS = 20
const SLOW_MS_PER_BYTE = 0.01
const REPEATED = 5
const HEAP_SAMPLES = 10
const BYTES_PER_MB = 1e6

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Runs a target on the given number of inputs. The same seed gives the same inputs as long as the code is the same. */
export async function fuzz(target: FuzzTarget, options: CampaignOptions): Promise<CampaignResult> {
  return await new Campaign(target, options).run()
}

class Campaign {
  readonly #random: Random
  readonly #corpus: Uint8Array[]
  readonly #findings = new Map<string, Finding>()
  readonly #hangMs: number
  #bytes = 0
  #slowestMs = 0
  readonly #target: FuzzTarget
  readonly #options: CampaignOptions

  constructor(target: FuzzTarget, options: CampaignOptions) {
    this.#target = target
    this.#options = options
    this.#random = new Random(options.seed)
    this.#corpus = [...options.kept]
    this.#hangMs = options.hangMs ?? HANG_MS
  }

  async run(): Promise<CampaignResult> {
    const target = this.#target
    const { inputs, coverage, kept } = this.#options
    const startedAt = process.cpuUsage()
    const heapMB: number[] = []
    await this.#runAll(kept)
    let done = kept.length
    while (done < inputs) {
      const generation = Array.from({ length: Math.min(GENERATION, inputs - done) }, () => this.#next())
      await this.#runAll(generation)
      const newBlocks = coverage.newBlocks(target.covers)
      if (newBlocks.size > 0) await this.#keep(generation, newBlocks)
      // Let deferred work of the code under test run between generations.
      await nextTurn()
      done += generation.length
      if (done >= (inputs * (heapMB.length + 1)) / HEAP_SAMPLES) heapMB.push(heapInUse())
    }
    const { user, system } = process.cpuUsage(startedAt)
    const { reached, all } = coverage.of(target.covers)
    return {
      inputs: done,
      bytes: this.#bytes,
      seconds: (user + system) / 1e6,
      corpus: this.#corpus.length,
      reached: reached / Math.max(1, all),
      heapEarlyMB: heapMB[0] ?? 0,
      heapLaterMB: Math.max(0, ...heapMB.slice(1)),
      slowestMs: this.#slowestMs,
      findings: await this.#minimised()
    }
  }

  /** Returns a new input or a mutated one from the corpus. */
  #next(): Uint8Array {
    const random = this.#random
    const pick = (): Uint8Array => this.#corpus[random.integer(this.#corpus.length)]
    if (this.#corpus.length === 0 || random.integer(4) === 0) {
      const made = this.#target.generate(random)
      return random.integer(2) === 0 ? made : mutate(random, made, made)
    }
    return mutate(random, pick(), pick())
  }

  async #runAll(inputs: readonly Uint8Array[]): Promise<void> {
    let stuck = { at: -1, ms: 0 }
    for (let at = 0; at < inputs.length;) {
      const startedAt = process.cpuUsage()
      try {
        await runWithTimeout(() => {
          while (at < inputs.length) {
            const running = this.#runOne(inputs[at])
            if (running !== undefined) return running
            at++
          }
        }, this.#hangMs)
      } catch (error) {
        const what = describe(error)
        if (what === HANG) {
          // The timeout measures wall-clock time. On a busy machine, only processor time shows a hang.
          stuck = { at, ms: (stuck.at === at ? stuck.ms : 0) + milliseconds(process.cpuUsage(startedAt)) }
          if (stuck.ms < this.#hangMs / 2) continue
        }
        this.#note(what, inputs[at])
      }
      at++
    }
  }

  #runOne(input: Uint8Array): void | Promise<void> {
    this.#bytes += input.length
    const startedAt = performance.now()
    const running = this.#target.run(input)
    const tookMs = performance.now() - startedAt
    if (tookMs > Math.max(this.#slowestMs, 1)) this.#time(input, tookMs)
    return running
  }

  #time(input: Uint8Array, tookMs: number): void {
    let bestMs = tookMs
    for (let i = 0; i < REPEATED; i++) {
      const startedAt = performance.now()
      void this.#target.run(input)
      bestMs = Math.min(bestMs, performance.now() - startedAt)
    }
    this.#slowestMs = Math.max(this.#slowestMs, bestMs)
    if (bestMs > SLOW_MS + SLOW_MS_PER_BYTE * input.length) this.#note('exceeds the time limit for its length', input)
  }

  #note(what: string, input: Uint8Array): void {
    const known = this.#findings.get(what)
    if (known === undefined) {
      this.#findings.set(what, { what, input, count: 1 })
      return
    }
    known.count++
    if (input.length < known.input.length) known.input = input
  }

  /** Bisects the inputs for those that ran the `wanted` blocks, and adds them to the corpus. */
  async #keep(inputs: readonly Uint8Array[], wanted: ReadonlySet<string>): Promise<void> {
    if (inputs.length === 1) {
      this.#corpus.push(inputs[0])
      return
    }
    const target = this.#target
    const { coverage } = this.#options
    const half = inputs.length >> 1
    coverage.ran(target.covers)
    for (const input of inputs.slice(0, half)) await this.#rerun(input)
    const ran = coverage.ran(target.covers)
    const first = new Set([...wanted].filter(block => ran.has(block)))
    const second = new Set([...wanted].filter(block => !ran.has(block)))
    if (first.size > 0) await this.#keep(inputs.slice(0, half), first)
    if (second.size > 0) await this.#keep(inputs.slice(half), second)
  }

  /** Runs an input that is known to terminate. */
  async #rerun(input: Uint8Array): Promise<void> {
    try {
      const running = this.#target.run(input)
      if (running !== undefined) await running
    } catch {
      // The first run reported the error.
    }
  }

  async #errorOf(input: Uint8Array): Promise<string | null> {
    try {
      await runWithTimeout(() => this.#target.run(input), this.#hangMs)
      return null
    } catch (error) {
      return describe(error)
    }
  }

  async #minimised(): Promise<Finding[]> {
    const findings = [...this.#findings.values()]
    for (const finding of findings) {
      if (finding.what === HANG) continue
      finding.input = await minimise(finding.input, async input => (await this.#errorOf(input)) === finding.what)
    }
    return findings
  }
}

function milliseconds({ user, system }: NodeJS.CpuUsage): number {
  return (user + system) / 1e3
}

function heapInUse(): number {
  collectGarbage()
  return process.memoryUsage().heapUsed / BYTES_PER_MB
}
