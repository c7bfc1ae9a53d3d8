// The process id file.

import { readFile, rm, writeFile } from 'node:fs/promises'
import { OperatorError } from '../../src/errors.js'
import { MAX_PATH_LENGTH, printable } from '../terminal/printable.js'

/**
 * Writes the process id file, if one is configured.
 *
 * @returns a function that removes the file, unless it contains the id of another process
 * @throws OperatorError `pid-file` if it cannot be written
 */
export async function writePidFile(file: string | null): Promise<() => Promise<void>> {
  if (file === null) return async () => {}
  const own = `${process.pid}\n`
  try {
    await writeFile(file, own)
  } catch (cause) {
    throw new OperatorError(
      'pid-file',
      `Cannot write the process id file ${printable(file, MAX_PATH_LENGTH)}: ${(cause as NodeJS.ErrnoException).code}.`,
      'Set a file in an existing folder that this user may write to, or null: systemd needs none.',
      { cause }
    )
  }
  return async () => {
    if ((await readFile(file, 'utf8').catch(() => '')) === own) await rm(file, { force: true })
  }
}
