// The file that holds the process id while the broker runs.

import { readFile, rm, writeFile } from 'node:fs/promises'
import { OperatorError } from '../../src/errors.js'
import { MAX_PATH_LENGTH, printable } from '../terminal/printable.js'

/**
 * Writes the file, where one is named.
 *
 * @returns removes it, unless another process has put its own id there
 * @throws OperatorError `pid-file` where it cannot be written
 */
export async function writePidFile(file: string | null): Promise<() => Promise<void>> {
  if (file === null) return async () => {}
  const own = `${process.pid}\n`
  try {
    await writeFile(file, own)
  } catch (cause) {
    throw new OperatorError(
      'pid-file',
      `The process id cannot be written to ${printable(file, MAX_PATH_LENGTH)} (${(cause as NodeJS.ErrnoException).code}).`,
      'Name a file in a folder that exists and that this user may write to, or none: systemd needs none.',
      { cause }
    )
  }
  return async () => {
    if ((await readFile(file, 'utf8').catch(() => '')) === own) await rm(file, { force: true })
  }
}
