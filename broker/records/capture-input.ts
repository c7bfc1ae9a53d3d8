// Reads captures from a file or standard input, with the file name in error messages.

import { createReadStream, fstatSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { addAbortSignal } from 'node:stream'
import { OperatorError } from '../../src/errors.js'
import { eachRecord } from '../../src/join/capture-records.js'
import type { TrafficRecord } from '../../src/record.js'
import { MAX_PATH_LENGTH, printable } from '../terminal/printable.js'

/** The file name that means standard input. */
export const STANDARD_INPUT = '-'

const READ_BYTES = 262_144

/** Reasons why a file cannot be read, by error code. */
export const UNREADABLE: Readonly<Record<string, string | undefined>> = {
  ENOENT: 'no such file',
  EACCES: 'permission denied',
  EISDIR: 'is a directory'
}

/** Options for reading captures. */
export interface CaptureInput {
  ports: readonly number[]
  /** Whether records have the context columns. @default true */
  context?: boolean
  signal: AbortSignal
  /** Ends the input as if at its end of file. */
  ended?: AbortSignal
  /** Reports bytes read, for the progress bar. */
  onBytes?: (count: number) => void
}

/**
 * Reads a capture. `onRecord` gets each record, which is valid only during the call. Yields the number of records after
 * each chunk.
 *
 * @throws OperatorError if the capture is invalid, after the records before the error
 */
export async function* scanCapture(
  file: string,
  input: CaptureInput,
  onRecord: (record: TrafficRecord) => void
): AsyncGenerator<number> {
  const { ports, context = true } = input
  // Table I contains only the length of a topic.
  const topics = context ? {} : { topicCapBytes: 0 }
  try {
    yield* eachRecord(openInput(file, input), { ports, context, ...topics }, onRecord)
  } catch (error) {
    throw withFile(error, file)
  }
}

/**
 * Reads the records of a capture in chunks. They may be views of a read buffer: copy what you keep.
 *
 * @throws OperatorError as {@link scanCapture}
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

/** Reads the bytes of a file or of standard input. Convert its errors with {@link withFile}. */
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

/** Whether an input is live, such as a pipe or a terminal, and not a file. */
export async function isLive(file: string): Promise<boolean> {
  const stats = file === STANDARD_INPUT ? fstatSync(process.stdin.fd) : await stat(file).catch(() => undefined)
  return stats !== undefined && !stats.isFile()
}

/** Returns the name of an input for messages. */
export function nameOfInput(file: string): string {
  return file === STANDARD_INPUT ? 'standard input' : printable(file, MAX_PATH_LENGTH)
}

/** Prefixes the message of an error with the file name. */
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
