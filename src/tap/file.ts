// A capture file as a tap, which ends with the file.

import { open } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { OperatorError } from '../errors.js'
import type { CaptureOptions, TapSession } from '../types.js'
import type { FileTarget } from './target.js'

/** Bytes per read. */
const READ_BYTES = 256 * 1024

/**
 * Reads a capture file unchanged; of `options`, only `signal` applies.
 * @throws OperatorError `tap-file` if it cannot be read.
 */
export async function openFile(target: FileTarget, options: CaptureOptions): Promise<TapSession> {
  options.signal?.throwIfAborted()
  const file = await open(target.path).catch((cause: unknown) => {
    throw unreadable(target.path, cause as NodeJS.ErrnoException)
  })
  if ((await file.stat()).isDirectory()) {
    await file.close()
    throw new OperatorError('tap-file', `${target.path} is a directory.`, 'Specify a capture file: file:PATH.')
  }
  const stream = file.createReadStream({ highWaterMark: READ_BYTES })
  const closed = new Promise<void>(resolve => stream.once('close', () => resolve()))
  let closing = false

  async function* relay(): AsyncGenerator<Buffer> {
    try {
      yield* stream
    } catch (error) {
      // A file that is closed early ends like any other tap.
      if (!closing) throw error
    }
  }

  return {
    bytes: Readable.from(relay(), { objectMode: false }),
    async close() {
      closing = true
      stream.destroy()
      await closed
      return {}
    }
  }
}

function unreadable(path: string, cause: NodeJS.ErrnoException): OperatorError {
  const remedy = cause.code === 'ENOENT' ? 'Check the path. It is relative to the current directory.' : undefined
  const reason = cause.code === 'ENOENT' ? 'does not exist' : `cannot be read (${cause.code ?? cause.message})`
  return new OperatorError('tap-file', `The capture file ${path} ${reason}.`, remedy, { cause })
}
