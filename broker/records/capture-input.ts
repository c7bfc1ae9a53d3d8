// Captures as commands read them: from a file or standard input, records out, faults named after the file.

import { createReadStream, fstatSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { addAbortSignal } from 'node:stream'
import { OperatorError } from '../../src/errors.js'
import { eachRecord } from '../../src/join/capture-records.js'
import type { TrafficRecord } from '../../src/record.js'
import { MAX_PATH_LENGTH, printable } from '../terminal/printable.js'

/** Stands for standard input in place of a file. */
export const STANDARD_INPUT = '-'

const READ_BYTES = 262_144

/** Why a file cannot be read, by the code of the error, in plain words. */
export const UNREADABLE: Readonly<Record<string, string | undefined>> = {
  ENOENT: 'there is no such file',
  EACCES: 'it may not be read by this user',
  EISDIR: 'it is a directory'
}

/** How to read. */
export interface CaptureInput {
  ports: readonly number[]
  /** Whether records carry the context columns; true unless said otherwise. */
  context?: boolean
  signal: AbortSignal
  /** Ends the input as if it ended there. */
  ended?: AbortSignal
  /** Bytes read, for the progress. */
  onBytes?: (count: number) => void
}

/**
 * Reads a capture; `onRecord` gets each record, and may keep it no longer than the call lasts. Yields after
 * each portion how many there were.
 *
 * @throws OperatorError where the file is no sound capture; what came before a fault is given out first
 */
export async function* scanCapture(
  file: string,
  input: CaptureInput,
  onRecord: (record: TrafficRecord) => void
): AsyncGenerator<number> {
  const { ports, context = true } = input
  // Table I holds a topic's length alone.
  const topics = context ? {} : { topicCapBytes: 0 }
  try {
    yield* eachRecord(openInput(file, input), { ports, context, ...topics }, onRecord)
  } catch (error) {
    throw withFile(error, file)
  }
}

/**
 * The records of a capture, some at a time. They may be views of what was read: keep copies.
 *
 * @throws OperatorError as {@link scanCapture} does
 */
export async function* readCapture(file: string, input: CaptureInput): AsyncGenerator<TrafficRecord[]> {
  let records: TrafficRecord[] = []
  for await (const count of scanCapture(file, input, record => {
    records.push(record)
  })) {
    if (count === 0) continue
    yield records
    records = []
  }
}

/** The bytes of a file or of standard input, as they come; its errors are made fit to be shown by {@link withFile}. */
export async function* openInput(
  file: string,
  { signal, ended, onBytes }: Omit<CaptureInput, 'ports'>
): AsyncGenerator<Buffer> {
  const input = file === STANDARD_INPUT ? process.stdin : createReadStream(file, { highWaterMark: READ_BYTES })
  const end = (): void => {
    input.destroy()
  }
  ended?.addEventListener('abort', end, { once: true })
  try {
    for await (const chunk of addAbortSignal(signal, input)) {
      yield chunk as Buffer
      onBytes?.((chunk as Buffer).length)
    }
  } catch (error) {
    if (ended?.aborted !== true) throw error
  } finally {
    ended?.removeEventListener('abort', end)
  }
}

/** Whether an input is made while it is read: a pipe, a terminal, and no file. */
export async function isLive(file: string): Promise<boolean> {
  const stats = file === STANDARD_INPUT ? fstatSync(process.stdin.fd) : await stat(file).catch(() => undefined)
  return stats !== undefined && !stats.isFile()
}

/** How messages name an input. */
export function nameOfInput(file: string): string {
  return file === STANDARD_INPUT ? 'standard input' : printable(file, MAX_PATH_LENGTH)
}

/** The same error with the file's name before its message. */
export function withFile(error: unknown, file: string): unknown {
  const name = nameOfInput(file)
  if (error instanceof OperatorError) {
    return new OperatorError(error.code, `${name}: ${error.message}`, error.remedy, { cause: error })
  }
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const reason = UNREADABLE[code]
  if (reason === undefined) return error
  return new OperatorError('capture-unreadable', `${name}: ${reason}`, 'Check the name and the permissions.', {
    cause: error
  })
}
