// artemis extract: writes the 31 features of captures as CSV or NDJSON.
import { finished, pipeline } from 'node:stream/promises'
import { Command, Option } from 'commander'
import { OperatorError } from '../../src/errors.js'
import { recordWriter } from '../../src/features/record-writer.js'
import type { RecordColumns, RecordFormat, RecordWriter } from '../../src/features/record-writer.js'
import { DEFAULT_MQTT_PORTS } from '../../src/join/capture-records.js'
import type { TrafficRecord } from '../../src/record.js'
import { isLive, nameOfInput, scanCapture } from '../records/capture-input.js'
import { Interruption } from '../process/interruption.js'
import { openOutputFile, refuseInputAsOutput } from '../process/output-file.js'
import { parsePorts } from '../port-list.js'
import { Progress, totalBytes } from '../terminal/progress.js'

interface ExtractOptions {
  format: RecordFormat
  features: RecordColumns
  out?: string
  mqttPort: number[]
}

/** State shared by all captures of one run. */
interface Extraction {
  ports: readonly number[]
  context: boolean
  writer: RecordWriter
  /** Stops reading, even from an idle input. */
  interruption: Interruption
  /** Reports bytes read, for the progress bar. */
  onBytes: (count: number) => void
  /** Called before lines are written. */
  beforeLines: () => void
  /** Errors of truncated captures: their complete records are written, the errors reported at the end. */
  truncated: OperatorError[]
}

/** Shorter inputs finish too fast for a progress bar. */
const PROGRESS_FROM_BYTES = 16_777_216

/** Error codes of a live capture that is interrupted. */
const INTERRUPTED_CODES: ReadonlySet<string> = new Set(['capture-cut-short', 'capture-empty'])

/** The `extract` command. */
export function extractCommand(): Command {
  return new Command('extract')
    .description('extract the 31 features of every MQTT frame from captures')
    .argument('<file...>', 'captures (pcap or pcapng, gzip or not), - for standard input')
    .addOption(new Option('--format <format>', 'output format').choices(['csv', 'ndjson']).default('csv'))
    .addOption(
      new Option(
        '--features <columns>',
        'table1: the 31 features; full: also context and payloads, needed to train some presets'
      )
        .choices(['table1', 'full'])
        .default('table1')
    )
    .option('--out <file>', 'output file (default: standard output)')
    .option('--mqtt-port <ports>', 'TCP ports that carry MQTT', parsePorts, [...DEFAULT_MQTT_PORTS])
    .action(extract)
}

async function extract(files: string[], options: ExtractOptions): Promise<void> {
  const progress = new Progress()
  const total = await totalBytes(files)
  let done = 0
  const interruption = new Interruption()
  const extraction: Extraction = {
    interruption,
    ports: options.mqttPort,
    context: options.features === 'full',
    writer: recordWriter(options.format, files.length > 1, options.features),
    onBytes: count => {
      done += count
      if (total >= PROGRESS_FROM_BYTES) progress.update('extract', done, total)
    },
    // On a terminal, the lines overwrite the bar.
    beforeLines: () => {
      if (process.stdout.isTTY && options.out === undefined) progress.hide()
    },
    truncated: []
  }
  try {
    const lines = (): AsyncGenerator<string | Uint8Array> => extractLines(files, extraction)
    if (options.out === undefined) await toStandardOutput(lines, interruption.abandoned)
    else await toFile(options.out, files, lines, interruption.abandoned)
  } catch (error) {
    if (!interruption.abandoned.aborted) throw error
  } finally {
    interruption.dispose()
    progress.stop()
  }
  const first = extraction.truncated.at(0)
  if (first === undefined) return
  throw extraction.truncated.length === 1
    ? first
    : new OperatorError(first.code, extraction.truncated.map(error => error.message).join('\n'), first.remedy)
}

async function toStandardOutput(lines: () => AsyncGenerator<string | Uint8Array>, signal: AbortSignal): Promise<void> {
  try {
    await pipeline(lines, process.stdout, { signal, end: false })
  } catch (error) {
    // The reader closed the pipe, as in `artemis extract F | head`.
    if (codeOf(error) !== 'EPIPE') throw error
  }
}

async function toFile(
  path: string,
  inputs: readonly string[],
  lines: () => AsyncGenerator<string | Uint8Array>,
  signal: AbortSignal
): Promise<void> {
  await refuseInputAsOutput(path, inputs)
  const output = await openOutputFile(path)
  try {
    await pipeline(lines, output.stream, { signal })
    await finished(output.stream)
    await output.commit()
  } catch (error) {
    await output.discard()
    throw error
  }
}

async function* extractLines(files: readonly string[], extraction: Extraction): AsyncGenerator<string | Uint8Array> {
  const { writer, interruption, truncated } = extraction
  if (writer.header !== '') yield writer.header
  for (const file of files) {
    interruption.reading(await isLive(file))
    try {
      yield* captureLines(file, extraction)
    } catch (error) {
      if (!(error instanceof OperatorError)) throw error
      // An interrupted capture may end anywhere.
      if (interruption.isEnding && INTERRUPTED_CODES.has(error.code)) return
      if (error.code !== 'capture-cut-short') throw error
      truncated.push(error)
    }
    if (interruption.isEnding) return
  }
}

async function* captureLines(
  file: string,
  { ports, context, writer, interruption, onBytes, beforeLines }: Extraction
): AsyncGenerator<Uint8Array> {
  const write = (record: TrafficRecord): void => {
    writer.write(record, file)
  }
  const input = { ports, context, signal: interruption.abandoned, ended: interruption.ended, onBytes }
  let records = 0
  for await (const count of scanCapture(file, input, write)) {
    if (count === 0) continue
    records += count
    beforeLines()
    yield writer.take()
  }
  if (records === 0)
    process.stderr.write(
      `${nameOfInput(file)}: no frames on port ${ports.join(' or ')}. Set other ports with --mqtt-port.\n`
    )
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
