// Atomic output files: written to a temporary file in the same folder, then renamed.
import { createWriteStream } from 'node:fs'
import { rename, rm, stat } from 'node:fs/promises'
import type { Writable } from 'node:stream'
import { OperatorError } from '../../src/errors.js'
import { STANDARD_INPUT } from '../records/capture-input.js'

const UNWRITABLE: Readonly<Record<string, string>> = {
  ENOENT: 'the folder does not exist',
  ENOTDIR: 'the folder is a file',
  EACCES: 'permission denied'
}

/** An output file: write to `stream`, end it, then `commit` or `discard`. */
export interface OutputFile {
  readonly stream: Writable
  /** Renames the complete file to its final name. */
  commit(): Promise<void>
  /** Removes the temporary file. */
  discard(): Promise<void>
}

/**
 * Opens an output file. Devices and pipes are written directly, because a rename would replace them.
 * @throws OperatorError `output-unwritable` if the file cannot be written
 */
export async function openOutputFile(path: string): Promise<OutputFile> {
  const existing = await stat(path).catch(() => null)
  if (existing?.isDirectory() === true) throw unwritable(path, 'is a directory')
  const isSpecial = existing !== null && !existing.isFile()
  const target = isSpecial ? path : `${path}.part-${process.pid}`
  const stream = createWriteStream(target, isSpecial ? {} : { flags: 'wx', flush: true })
  await new Promise<void>((resolve, reject) => {
    stream.once('open', () => resolve())
    stream.once('error', error =>
      reject(unwritable(path, UNWRITABLE[(error as NodeJS.ErrnoException).code ?? ''] ?? error.message))
    )
  })
  return {
    stream,
    commit: async () => {
      if (!isSpecial) await rename(target, path)
    },
    discard: async () => {
      stream.destroy()
      if (!isSpecial) await rm(target, { force: true })
    }
  }
}

/**
 * Refuses an output file that is also an input, under any name.
 * @throws OperatorError `output-is-input`
 */
export async function refuseInputAsOutput(path: string, inputs: readonly string[]): Promise<void> {
  const output = await stat(path).catch(() => null)
  if (output === null || !output.isFile()) return
  for (const input of inputs) {
    const existing = input === STANDARD_INPUT ? null : await stat(input).catch(() => null)
    if (existing?.ino === output.ino && existing.dev === output.dev) {
      throw new OperatorError('output-is-input', `--out ${path}: this is an input file`, 'Choose another file.')
    }
  }
}

function unwritable(path: string, reason: string): OperatorError {
  return new OperatorError(
    'output-unwritable',
    `Cannot write ${path}: ${reason}`,
    'Choose an existing folder that this user may write to.'
  )
}
