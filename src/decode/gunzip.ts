// Decompresses gzip captures on the fly, detected by content.
import { pipeline } from 'node:stream/promises'
import { constants, createGunzip } from 'node:zlib'
import { OperatorError } from '../errors.js'

const GZIP_MAGIC = [0x1f, 0x8b] as const
const OUTPUT_BYTES = 65_536

/**
 * Yields the bytes of a capture for `CaptureDecoder`: decompressed if they are gzip, else unchanged. A truncated file
 * yields all that can be decompressed. Throws an `OperatorError` (`capture-corrupt`) if the compressed data is invalid.
 */
export async function* gunzipped(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const input = source[Symbol.asyncIterator]()
  let head: Buffer = Buffer.alloc(0)
  let done = false
  while (head.length < GZIP_MAGIC.length && !done) {
    const next = await input.next()
    if (next.done === true) done = true
    else head = head.length === 0 ? next.value : Buffer.concat([head, next.value])
  }
  const rest = withHead(head, input, done)
  if (head[0] !== GZIP_MAGIC[0] || head[1] !== GZIP_MAGIC[1]) yield* rest
  else yield* decompressed(rest)
}

/** Yields `head`, then the rest of the source. */
async function* withHead(head: Buffer, input: AsyncIterator<Buffer>, done: boolean): AsyncGenerator<Buffer> {
  try {
    if (head.length > 0) yield head
    while (!done) {
      const next = await input.next()
      if (next.done === true) return
      yield next.value
    }
  } finally {
    await input.return?.()
  }
}

async function* decompressed(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  // The final sync flush returns the remaining data of a truncated file. The decoder detects the truncated record.
  const gunzip = createGunzip({ chunkSize: OUTPUT_BYTES, finishFlush: constants.Z_SYNC_FLUSH })
  const fed = pipeline(source, gunzip)
  // The loop below also throws this error, unless the consumer stops reading.
  fed.catch(() => undefined)
  try {
    for await (const chunk of gunzip) yield chunk as Buffer
  } catch (error) {
    if (!isZlibError(error)) throw error
    throw new OperatorError(
      'capture-corrupt',
      `the compressed capture is corrupt: ${error.message}`,
      'Test it with gzip -t, or copy the file again.',
      { cause: error }
    )
  }
}

function isZlibError(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && error.code.startsWith('Z_')
}
