// Runs code that may never end, and says in a line what came of it.
import { Script, createContext } from 'node:vm'
import { OperatorError } from '../../src/errors.js'
import { Violation } from './target.js'

/** How long a generation of inputs may take, milliseconds. */
const HANG_MS = 20_000

/** What {@link describe} says of code that never ends. */
export const HANGS = 'does not end'

const context = createContext({ running: undefined })
const script = new Script('running()')

/** Runs `work`, also where it never comes back: then a timeout is thrown out of it, wherever it is. */
export async function guarded (work: () => void | Promise<void>): Promise<void> {
  context.running = work
  const pending = script.runInContext(context, { timeout: HANG_MS }) as void | Promise<void>
  if (pending === undefined) return
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => { timer = setTimeout(() => reject(new Violation(HANGS)), HANG_MS) })
  try {
    await Promise.race([pending, late])
  } finally {
    clearTimeout(timer)
  }
}

/** An error in one line: the property that does not hold, or the error and the place in our code. */
export function describe (error: unknown): string {
  if (!(error instanceof Error)) return `throws ${String(error)}`
  if (error instanceof Violation) return error.message
  if ('code' in error && error.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return HANGS
  const place = /\/dist\/(?:src|broker)\/(\S+?\.js):\d+/.exec(error.stack ?? '')?.[1] ?? 'elsewhere'
  const code = error instanceof OperatorError ? ` ${error.code}` : ''
  return `throws ${error.name}${code} in ${place}: ${error.message.replace(/\d+/g, 'N')}`
}
