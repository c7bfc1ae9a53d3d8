// Runs code with a time limit, and describes its errors in one line.
import { Script, createContext } from 'node:vm'
import { OperatorError } from '../../src/errors.js'
import { Violation } from './target.js'

/** Description of code that exceeds the time limit. */
export const HANG = 'does not terminate'

const context = createContext({ running: undefined })
const script = new Script('running()')

/** Runs `work` with a time limit. An error interrupts it after `timeoutMs`, even in a synchronous loop. */
export async function runWithTimeout(work: () => void | Promise<void>, timeoutMs: number): Promise<void> {
  context.running = work
  const pending = script.runInContext(context, { timeout: timeoutMs }) as void | Promise<void>
  if (pending === undefined) return
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Violation(HANG)), timeoutMs)
  })
  try {
    await Promise.race([pending, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Describes an error in one line: the violated property, or the error and its position in our code. */
export function describe(error: unknown): string {
  // It is thrown in the other context, so it is no instance of this context's Error.
  if (codeOf(error) === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return HANG
  if (!(error instanceof Error)) return `throws ${String(error)}`
  if (error instanceof Violation) return error.message
  const place = /\/dist\/(?:src|broker)\/(\S+?\.js):\d+/.exec(error.stack ?? '')?.[1] ?? 'elsewhere'
  const code = error instanceof OperatorError ? ` ${error.code}` : ''
  return `throws ${error.name}${code} in ${place}: ${error.message.replace(/\d+/g, 'N')}`
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
}
