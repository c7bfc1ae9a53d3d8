// What the broker says of itself: on standard error, for machines as JSON, for people as lines.

import pino, { type Logger } from 'pino'
import { printable } from './printable.js'
import type { Settings } from './config/schema.js'

/** What every entry has. */
interface Entry {
  time: string
  level: string
  msg?: string
  err?: { stack?: string, message?: string }
}

const LEVEL_WIDTH = 5

/** A logger to standard error, after the settings `log`. */
export function openLog ({ level, format }: Settings['log']): Logger {
  const asText = format === 'text' || (format === 'auto' && process.stderr.isTTY === true)
  return pino({
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: label => ({ level: label }) }
  }, {
    write (line: string) { process.stderr.write(asText ? textOf(line) : line) }
  })
}

/** One entry as a line for people: time, level, message, and what belongs to it. */
export function textOf (line: string): string {
  const { time, level, msg, err, ...rest } = JSON.parse(line) as Entry
  const details = Object.entries(rest).map(([name, value]) =>
    ` ${name}=${printable(typeof value === 'string' ? value : JSON.stringify(value))}`)
  const stack = err?.stack ?? err?.message
  // The lines of a stack are ours, what stands in them may not be.
  const trace = stack === undefined ? '' : `\n${stack.split('\n').map(part => printable(part)).join('\n')}`
  const clock = time.slice(0, 19).replace('T', ' ')
  return `${clock} ${level.toUpperCase().padEnd(LEVEL_WIDTH)} ${printable(msg ?? '')}${details.join('')}${trace}\n`
}
