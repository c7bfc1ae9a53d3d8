// Captures compressed with gzip: unpacked on the way, known by their content.
import { pipeline } from 'node:stream/promises'
import { constants, createGunzip } from 'node:zlib'
import { OperatorError } from '../errors.js'

const GZIP_MAGIC = [0x1f, 0x8b] as const
const OUTPUT_BYTES = 65_536

/**
 * The bytes of a capture as `CaptureDecoder` takes them: unpacked where they are gzip, else as they
 * are. A file cut short gives all that can be unpacked. Throws an `OperatorError`
 * (`capture-corrupt`) where the compressed bytes contradict themselves.
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
  const rest = restored(head, input, done)
  if (head[0] !== GZIP_MAGIC[0] || head[1] !== GZIP_MAGIC[1]) yield* rest
  else yield* unpacked(rest)
}

/** The source again, with the bytes that were looked at in front. */
async function* restored(head: Buffer, input: AsyncIterator<Buffer>, done: boolean): AsyncGenerator<Buffer> {
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

async function* unpacked(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  // A sync flush at the end gives what a cut file still holds; that a record is cut is seen by the decoder.
  const gunzip = createGunzip({ chunkSize: OUTPUT_BYTES, finishFlush: constants.Z_SYNC_FLUSH })
  const fed = pipeline(source, gunzip)
  // Its error comes out of the loop below as well, unless nobody reads on.
  fed.catch(() => undefined)
  try {
    for await (const chunk of gunzip) yield chunk as Buffer
  } catch (error) {
    if (!isZlibError(error)) throw error
    throw new OperatorError(
      'capture-corrupt',
      `the compressed capture is corrupt: ${error.message}`,
      'Unpack it with gzip -t to see how far it is sound, or fetch it again.',
      { cause: error }
    )
  }
}

function isZlibError(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && error.code.startsWith('Z_')
}
