// The program log: on standard error or in a file, as JSON or as text.

import { closeSync, openSync, writeSync } from 'node:fs'
import pino, { type Logger } from 'pino'
import { OperatorError } from '../../src/errors.js'
import { printableJson } from '../../src/report/json-line.js'
import { MAX_PATH_LENGTH, printable } from '../terminal/printable.js'
import type { Settings } from '../config/schema.js'

/** A log entry. */
interface Entry {
  time: string
  level: string
  msg?: string
  err?: { stack?: string; message?: string }
}

const LEVEL_WIDTH = 5

/** The current log file, if any. */
let logFile: { name: string; descriptor: number } | undefined

/** The log contains client ids and connection times. */
const OWNER_AND_GROUP = 0o640

/**
 * Creates a logger to standard error, or to the file of the settings `log`.
 *
 * @throws OperatorError `log-file` if it cannot be written
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
        write(asText ? textOf(line) : printableJson(line))
      }
    }
  )
}

/**
 * Reopens the log file after log rotation.
 *
 * @throws OperatorError `log-file` if it cannot be written; the old file stays in use
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
      `Cannot write the log file ${printable(name, MAX_PATH_LENGTH)}: ${(cause as NodeJS.ErrnoException).code}.`,
      'Set a file in a folder that this user may write to, or null to log to standard error.',
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
    // A full disk must not stop the broker, so the line goes to standard error.
    process.stderr.write(text)
  }
}

/** Formats an entry as a line of text: time, level, message and details. */
export function textOf(line: string): string {
  const { time, level, msg, err, ...rest } = JSON.parse(line) as Entry
  const details = Object.entries(rest).map(
    ([name, value]) => ` ${name}=${printable(typeof value === 'string' ? value : JSON.stringify(value))}`
  )
  const stack = err?.stack ?? err?.message
  // The content of a stack trace may be untrusted, so each line is escaped.
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
