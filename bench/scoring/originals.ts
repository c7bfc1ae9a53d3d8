// The originals in a Python process beside this one.

import { spawn, type ChildProcess } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Fitted, Task } from './task.js'
import { WIDTH, type LabelledRows } from './rows.js'

/** Where Debian's scikit-learn and PyTorch are found. */
const PYTHON = '/usr/bin/python3'

// From dist/bench/scoring to the source: the compiler copies no scripts.
const SCRIPT = new URL('../../../bench/scoring/originals.py', import.meta.url).pathname

/** One thread, however many processors there are. */
const ONE_THREAD = { OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1', MKL_NUM_THREADS: '1' }

/** Answers one request at a time. */
export class Originals {
  readonly #answers: AsyncIterator<string>
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
    if (child.stdout === null) throw new Error('no output')
    this.#answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  }

  /** Versions of Python and the libraries. */
  versions = ''

  /**
   * Starts Python and hands it the rows, through files in `folder`.
   * @throws Error where Python or one of the libraries is missing; Python then says which
   */
  static async start(folder: string, train: LabelledRows, test: LabelledRows): Promise<Originals> {
    const file = (name: string, bytes: Uint8Array): string => {
      writeFileSync(join(folder, name), bytes)
      return join(folder, name)
    }
    const child = spawn(PYTHON, [SCRIPT], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...ONE_THREAD }
    })
    child.on('error', () => {})
    const originals = new Originals(child)
    const { versions } = (await originals.#ask({
      width: WIDTH,
      train: file('train', flat(train.rows)),
      test: file('test', flat(test.rows)),
      trainLabels: file('train-labels', train.labels),
      testLabels: file('test-labels', test.labels)
    })) as { versions: string }
    originals.versions = versions
    return originals
  }

  /** Trains, and judges the test rows. */
  async fit({ name, kind, rows }: Task, given: object): Promise<Fitted> {
    return (await this.#ask({ do: 'fit', name, detector: kind, rows, ...given })) as Fitted
  }

  /** Rows per second of processor time. */
  async speed({ name }: Task, batch: number, seconds: number): Promise<number> {
    const { rowsPerSecond } = (await this.#ask({ do: 'score', name, batch, seconds })) as { rowsPerSecond: number }
    return rowsPerSecond
  }

  /** Ends Python. */
  stop(): void {
    this.#child.kill()
  }

  async #ask(request: object): Promise<unknown> {
    this.#child.stdin?.write(`${JSON.stringify(request)}\n`)
    const answer = await this.#answers.next()
    if (answer.done === true)
      throw new Error(`${PYTHON} ended; on Debian: apt-get install python3-sklearn python3-torch`)
    return JSON.parse(answer.value)
  }
}

function flat(rows: readonly Float64Array[]): Uint8Array {
  const all = new Float64Array(rows.length * WIDTH)
  rows.forEach((row, i) => {
    all.set(row, i * WIDTH)
  })
  return new Uint8Array(all.buffer)
}
