// What the broker says of itself: on standard error or into a file, for machines as JSON, for people as lines.

import { closeSync, openSync, writeSync } from 'node:fs'
import pino, { type Logger } from 'pino'
import { OperatorError } from '../../src/errors.js'
import { shownJson } from '../../src/report/json-line.js'
import { MAX_PATH_LENGTH, printable } from '../terminal/printable.js'
import type { Settings } from '../config/schema.js'

/** What every entry has. */
interface Entry {
  time: string
  level: string
  msg?: string
  err?: { stack?: string; message?: string }
}

const LEVEL_WIDTH = 5

/** The file that is logged to, while there is one. */
let logFile: { name: string; descriptor: number } | undefined

/** What clients call themselves, and when they come and go, is nobody else's business. */
const OWNER_AND_GROUP = 0o640

/**
 * A logger to standard error, or to the file of the settings `log`.
 *
 * @throws OperatorError `log-file` where it cannot be written
 */
export function openLog({ level, format, file }: Settings['log']): Logger {
  const asText = format === 'text' || (format === 'auto' && (file !== null || process.stderr.isTTY))
  if (file !== null) logFile = { name: file, descriptor: openFile(file) }
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) }
    },
    {
      write(line: string) {
        write(asText ? textOf(line) : shownJson(line))
      }
    }
  )
}

/**
 * Goes on in a new file of the same name, after somebody has moved the old one away.
 *
 * @throws OperatorError `log-file` where it cannot be written; then the old one goes on
 */
export function reopenLog(): void {
  if (logFile === undefined) return
  const { name, descriptor } = logFile
  logFile = { name, descriptor: openFile(name) }
  closeSync(descriptor)
}

function openFile(name: string): number {
  try {
    return openSync(name, 'a', OWNER_AND_GROUP)
  } catch (cause) {
    throw new OperatorError(
      'log-file',
      `The log ${printable(name, MAX_PATH_LENGTH)} cannot be written (${(cause as NodeJS.ErrnoException).code}).`,
      'Name a file in a folder that this user may write to, or none: then the log goes to standard error.',
      { cause }
    )
  }
}

function write(text: string): void {
  if (logFile === undefined) {
    process.stderr.write(text)
    return
  }
  try {
    writeSync(logFile.descriptor, text)
  } catch {
    // A full disk must not take the broker with it, and is told where it can be.
    process.stderr.write(text)
  }
}

/** One entry as a line for people: time, level, message, and what belongs to it. */
export function textOf(line: string): string {
  const { time, level, msg, err, ...rest } = JSON.parse(line) as Entry
  const details = Object.entries(rest).map(
    ([name, value]) => ` ${name}=${printable(typeof value === 'string' ? value : JSON.stringify(value))}`
  )
  const stack = err?.stack ?? err?.message
  // The lines of a stack are ours, what stands in them may not be.
  const trace =
    stack === undefined
      ? ''
      : `\n${stack
          .split('\n')
          .map(part => printable(part))
          .join('\n')}`
  const clock = time.slice(0, 19).replace('T', ' ')
  return `${clock} ${level.toUpperCase().padEnd(LEVEL_WIDTH)} ${printable(msg ?? '')}${details.join('')}${trace}\n`
}
