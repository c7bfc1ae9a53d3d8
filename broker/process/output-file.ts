// A file that is there whole or not at all: written beside its place, then renamed into it.
import { createWriteStream } from 'node:fs'
import { rename, rm, stat } from 'node:fs/promises'
import type { Writable } from 'node:stream'
import { OperatorError } from '../../src/errors.js'
import { STANDARD_INPUT } from '../records/capture-input.js'

const UNWRITABLE: Readonly<Record<string, string>> = {
  ENOENT: 'its folder does not exist',
  ENOTDIR: 'its folder is a file',
  EACCES: 'this user may not write there'
}

/** An output in progress: write to `stream`, end it, then `commit` or `discard`. */
export interface OutputFile {
  readonly stream: Writable
  /** Puts the finished file in its place. */
  commit(): Promise<void>
  /** Leaves nothing behind. */
  discard(): Promise<void>
}

/**
 * Opens an output. A device or a pipe is written to directly, because a rename would replace it.
 * Throws an `OperatorError` (`output-unwritable`) where the directory cannot be written.
 */
export async function openOutputFile(path: string): Promise<OutputFile> {
  const existing = await stat(path).catch(() => null)
  if (existing?.isDirectory() === true) throw unwritable(path, 'it is a directory')
  const isSpecial = existing !== null && !existing.isFile()
  const written = isSpecial ? path : `${path}.part-${process.pid}`
  const stream = createWriteStream(written, isSpecial ? {} : { flags: 'wx', flush: true })
  await new Promise<void>((resolve, reject) => {
    stream.once('open', () => resolve())
    stream.once('error', error =>
      reject(unwritable(path, UNWRITABLE[(error as NodeJS.ErrnoException).code ?? ''] ?? error.message))
    )
  })
  return {
    stream,
    commit: async () => {
      if (!isSpecial) await rename(written, path)
    },
    discard: async () => {
      stream.destroy()
      if (!isSpecial) await rm(written, { force: true })
    }
  }
}

/**
 * Refuses to write over what is being read, under whatever name.
 * @throws OperatorError `output-is-input`
 */
export async function refuseInputAsOutput(path: string, inputs: readonly string[]): Promise<void> {
  const output = await stat(path).catch(() => null)
  if (output === null || !output.isFile()) return
  for (const input of inputs) {
    const known = input === STANDARD_INPUT ? null : await stat(input).catch(() => null)
    if (known?.ino === output.ino && known.dev === output.dev) {
      throw new OperatorError('output-is-input', `--out ${path}: that is a file being read`, 'Name another file.')
    }
  }
}

function unwritable(path: string, reason: string): OperatorError {
  return new OperatorError(
    'output-unwritable',
    `${path}: cannot be written: ${reason}`,
    'Choose a place that exists and that this user may write to.'
  )
}
