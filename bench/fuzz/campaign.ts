// Fuzzes one target: generations of inputs, a corpus of those that reached new code, and what was found.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Random } from '../../models/random.js'
import type { BlockCoverage } from './coverage.js'
import { HANGS, describe, guarded } from './guard.js'
import { minimised, mutate } from './mutation.js'
import type { FuzzTarget } from './target.js'

/** How much to do. */
export interface CampaignOptions {
  inputs: number
  seed: number
  coverage: BlockCoverage
  /** Inputs that failed once; they open the corpus. */
  kept: readonly Uint8Array[]
  /** How long a generation of inputs may take, milliseconds. */
  hangMs?: number
}

/** A property that does not hold, or an error, and the shortest input known that shows it. */
export interface Finding {
  what: string
  input: Uint8Array
  /** How many inputs showed it. */
  count: number
}

/** What came of it. */
export interface CampaignResult {
  inputs: number
  bytes: number
  /** Processor time. */
  seconds: number
  /** Inputs that reached new code. */
  corpus: number
  /** Share of the code under test that ran, in [0, 1]. */
  reached: number
  /** Heap in use after a collection: at a tenth of the inputs, and the most later, MB. */
  heapEarlyMB: number
  heapLaterMB: number
  /** The slowest input, milliseconds: the best of several runs, so that a busy machine does not count. */
  slowestMs: number
  findings: Finding[]
}

const GENERATION = 1_000
const HANG_MS = 20_000
/** An input may take this long, and a little longer for each of its bytes. */
const SLOW_MS = 20
const SLOW_MS_PER_BYTE = 0.01
const REPEATED = 5
const HEAP_SAMPLES = 10
const BYTES_PER_MB = 1e6

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Runs a target on so many inputs. The same seed gives the same inputs as long as the code is the same. */
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
    const began = process.cpuUsage()
    const heapMB: number[] = []
    await this.#runAll(kept)
    let done = kept.length
    while (done < inputs) {
      const generation = Array.from({ length: Math.min(GENERATION, inputs - done) }, () => this.#next())
      await this.#runAll(generation)
      const fresh = coverage.fresh(target.covers)
      if (fresh.size > 0) await this.#keep(generation, fresh)
      // What the code under test has put off is done between generations.
      await nextTurn()
      done += generation.length
      if (done >= (inputs * (heapMB.length + 1)) / HEAP_SAMPLES) heapMB.push(heapInUse())
    }
    const { user, system } = process.cpuUsage(began)
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
      findings: await this.#shortest()
    }
  }

  /** An input made anew, or a changed one of the corpus. */
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
      const began = process.cpuUsage()
      try {
        await guarded(() => {
          while (at < inputs.length) {
            const running = this.#runOne(inputs[at])
            if (running !== undefined) return running
            at++
          }
        }, this.#hangMs)
      } catch (error) {
        const what = describe(error)
        if (what === HANGS) {
          // The timeout is one of the wall clock: on a machine that is busy with other things it says nothing yet.
          stuck = { at, ms: (stuck.at === at ? stuck.ms : 0) + milliseconds(process.cpuUsage(began)) }
          if (stuck.ms < this.#hangMs / 2) continue
        }
        this.#note(what, inputs[at])
      }
      at++
    }
  }

  #runOne(input: Uint8Array): void | Promise<void> {
    this.#bytes += input.length
    const began = performance.now()
    const running = this.#target.run(input)
    const tookMs = performance.now() - began
    if (tookMs > Math.max(this.#slowestMs, 1)) this.#time(input, tookMs)
    return running
  }

  #time(input: Uint8Array, tookMs: number): void {
    let bestMs = tookMs
    for (let i = 0; i < REPEATED; i++) {
      const began = performance.now()
      void this.#target.run(input)
      bestMs = Math.min(bestMs, performance.now() - began)
    }
    this.#slowestMs = Math.max(this.#slowestMs, bestMs)
    if (bestMs > SLOW_MS + SLOW_MS_PER_BYTE * input.length) this.#note('takes longer than its length allows', input)
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

  /** Finds by halves which inputs ran the blocks that are `wanted`, and adds them to the corpus. */
  async #keep(inputs: readonly Uint8Array[], wanted: ReadonlySet<string>): Promise<void> {
    if (inputs.length === 1) {
      this.#corpus.push(inputs[0])
      return
    }
    const target = this.#target
    const { coverage } = this.#options
    const half = inputs.length >> 1
    coverage.ran(target.covers)
    for (const input of inputs.slice(0, half)) await this.#again(input)
    const ran = coverage.ran(target.covers)
    const first = new Set([...wanted].filter(block => ran.has(block)))
    const second = new Set([...wanted].filter(block => !ran.has(block)))
    if (first.size > 0) await this.#keep(inputs.slice(0, half), first)
    if (second.size > 0) await this.#keep(inputs.slice(half), second)
  }

  /** Runs an input that is known to end. */
  async #again(input: Uint8Array): Promise<void> {
    try {
      const running = this.#target.run(input)
      if (running !== undefined) await running
    } catch {
      // It was noted the first time.
    }
  }

  async #fault(input: Uint8Array): Promise<string | null> {
    try {
      await guarded(() => this.#target.run(input), this.#hangMs)
      return null
    } catch (error) {
      return describe(error)
    }
  }

  async #shortest(): Promise<Finding[]> {
    const findings = [...this.#findings.values()]
    for (const finding of findings) {
      if (finding.what === HANGS) continue
      finding.input = await minimised(finding.input, async input => (await this.#fault(input)) === finding.what)
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
