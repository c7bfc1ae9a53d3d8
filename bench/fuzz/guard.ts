// Runs code that may never end, and says in a line what came of it.
import { Script, createContext } from 'node:vm'
import { OperatorError } from '../../src/errors.js'
import { Violation } from './target.js'

/** What {@link describe} says of code that never ends. */
export const HANGS = 'does not end'

const context = createContext({ running: undefined })
const script = new Script('running()')

/**
 * Runs `work`, also where it never comes back: after so many milliseconds an error is thrown out of it, wherever it is.
 */
export async function guarded(work: () => void | Promise<void>, timeoutMs: number): Promise<void> {
  context.running = work
  const pending = script.runInContext(context, { timeout: timeoutMs }) as void | Promise<void>
  if (pending === undefined) return
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Violation(HANGS)), timeoutMs)
  })
  try {
    await Promise.race([pending, late])
  } finally {
    clearTimeout(timer)
  }
}

/** An error in one line: the property that does not hold, or the error and the place in our code. */
export function describe(error: unknown): string {
  // It comes out of the other context and is no Error of this one.
  if (codeOf(error) === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return HANGS
  if (!(error instanceof Error)) return `throws ${String(error)}`
  if (error instanceof Violation) return error.message
  const place = /\/dist\/(?:src|broker)\/(\S+?\.js):\d+/.exec(error.stack ?? '')?.[1] ?? 'elsewhere'
  const code = error instanceof OperatorError ? ` ${error.code}` : ''
  return `throws ${error.name}${code} in ${place}: ${error.message.replace(/\d+/g, 'N')}`
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
}
