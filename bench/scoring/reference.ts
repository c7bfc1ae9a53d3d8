// Runs the reference implementations in a Python process.

import { spawn, type ChildProcess } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Fitted, Task } from './task.js'
import { WIDTH, type LabelledRows } from './rows.js'

/** Python with Debian's scikit-learn and PyTorch. */
const PYTHON = '/usr/bin/python3'

// Path from dist/bench/scoring to the source, because the compiler does not copy scripts.
const SCRIPT = new URL('../../../bench/scoring/reference.py', import.meta.url).pathname

/** Use one thread. */
const ONE_THREAD = { OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1', MKL_NUM_THREADS: '1' }

/** The Python process; handles one request at a time. */
export class ReferenceProcess {
  readonly #responses: AsyncIterator<string>
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
    if (child.stdout === null) throw new Error('No standard output of Python')
    this.#responses = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  }

  /** Versions of Python and the libraries. */
  versions = ''

  /**
   * Starts Python and passes the rows through files in `folder`.
   *
   * @throws Error if Python or a library is missing; Python prints which
   */
  static async start(folder: string, train: LabelledRows, test: LabelledRows): Promise<ReferenceProcess> {
    const file = (name: string, bytes: Uint8Array): string => {
      writeFileSync(join(folder, name), bytes)
      return join(folder, name)
    }
    const child = spawn(PYTHON, [SCRIPT], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...ONE_THREAD }
    })
    child.on('error', () => {})
    const reference = new ReferenceProcess(child)
    const { versions } = (await reference.#request({
      width: WIDTH,
      train: file('train', flat(train.rows)),
      test: file('test', flat(test.rows)),
      trainLabels: file('train-labels', train.labels),
      testLabels: file('test-labels', test.labels)
    })) as { versions: string }
    reference.versions = versions
    return reference
  }

  /** Trains a detector and scores the test rows. */
  async fit({ name, kind, rows }: Task, given: object): Promise<Fitted> {
    return (await this.#request({ do: 'fit', name, detector: kind, rows, ...given })) as Fitted
  }

  /** Returns rows per second of processor time. */
  async speed({ name }: Task, batch: number, seconds: number): Promise<number> {
    const { rowsPerSecond } = (await this.#request({ do: 'score', name, batch, seconds })) as { rowsPerSecond: number }
    return rowsPerSecond
  }

  /** Stops Python. */
  stop(): void {
    this.#child.kill()
  }

  async #request(request: object): Promise<unknown> {
    this.#child.stdin?.write(`${JSON.stringify(request)}\n`)
    const answer = await this.#responses.next()
    if (answer.done === true)
      throw new Error(`${PYTHON} exited. On Debian, run: apt-get install python3-sklearn python3-torch`)
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
