// Model files: one JSON file with a digest. Incomplete or changed files are rejected with the reason.

import { createHash, randomUUID } from 'node:crypto'
import { open, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { DetectorError, isDetectorKind, type DetectorKind } from '../../models/index.js'
import { StateReader } from '../../models/state.js'
import { OperatorError } from '../errors.js'
import { Expert } from './expert.js'
import type { Experts } from './experts.js'
import { Panel } from './panel.js'

const FORMAT = 'artemis-model'
const SCHEMA = 2

/** Maximum size of a file, bytes. */
const MAX_MODEL_BYTES = 256 * 2 ** 20

/** Any JSON value. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

/** Content of a model file. */
export interface Model {
  /** Training time, ISO 8601. */
  created: string
  seed: number
  detector: DetectorKind
  experts: Experts
  /** Score above which a record is an outlier; undefined to use that of the detector. */
  threshold?: number
  /** Baselines of the alerts. Not interpreted here. */
  alert?: Json
  /** Results of the evaluation. */
  metrics?: Json
}

/** A model with the SHA-256 of its content in hex, which identifies it in alerts. */
export interface LoadedModel extends Model {
  readonly digest: string
}

/**
 * Writes a model atomically: to a temporary file in the same folder, which is then renamed.
 *
 * @returns the SHA-256 of the content
 * @throws OperatorError `model-not-writable` if the system refuses
 */
export async function saveModel(path: string, model: Model): Promise<string> {
  const { created, seed, detector, experts, threshold, alert, metrics } = model
  // Through JSON and back, so that the digest covers exactly what a reader parses.
  const content = JSON.parse(
    JSON.stringify({ format: FORMAT, schema: SCHEMA, created, seed, detector, experts, threshold, alert, metrics })
  ) as object
  const digest = digestContent(content)
  const temporary = join(dirname(path), `.${basename(path)}.${randomUUID()}.tmp`)
  try {
    await writeDurably(temporary, JSON.stringify({ ...content, digest }) + '\n')
    await rename(temporary, path)
    await syncFolder(dirname(path))
  } catch (error) {
    // If this fails too, the first error is more useful.
    await rm(temporary, { force: true }).catch(() => undefined)
    throw new OperatorError(
      'model-not-writable',
      `cannot write the model to ${path}: ${reason(error)}`,
      'check that the folder exists, is writable and has free space',
      { cause: error }
    )
  }
  return digest
}

/**
 * Reads a model.
 *
 * @throws OperatorError `model-not-readable`, `model-damaged` (invalid JSON, truncated, or invalid content),
 *   `model-format`, `model-schema` (of another version), `model-edited`, `model-features`
 */
export async function loadModel(path: string): Promise<LoadedModel> {
  const content = parse(path, await readText(path))
  try {
    const reader = new StateReader(content, 'model')
    if (reader.raw('format') !== FORMAT) {
      throw new OperatorError(
        'model-format',
        `${path} is not a model: its format is not ${FORMAT}`,
        'use a file that "artemis train" wrote'
      )
    }
    const schema = reader.integer('schema', 1, Number.MAX_SAFE_INTEGER)
    if (schema > SCHEMA) {
      throw new OperatorError(
        'model-schema',
        `${path} has schema ${schema}; this version reads schemas up to ${SCHEMA}`,
        'update Artemis, or train the model again with this version'
      )
    }
    if (schema < SCHEMA) {
      throw new OperatorError(
        'model-schema',
        `${path} has schema ${schema}, which this version no longer reads`,
        'train the model again with this version'
      )
    }
    const digest = checkDigest(path, content, reader.string('digest'))
    return { ...readModel(reader), digest }
  } catch (error) {
    if (error instanceof OperatorError && error.code === 'model-features') {
      throw new OperatorError(error.code, `${path}: ${error.message}`, error.remedy, { cause: error })
    }
    if (error instanceof DetectorError) throw damaged(path, error.message, error)
    throw error
  }
}

function readModel(reader: StateReader): Model {
  const detector = reader.string('detector')
  if (!isDetectorKind(detector)) throw new DetectorError('state', `unknown detector ${detector}`)
  const experts = reader.object('experts')
  const model: Model = {
    created: reader.string('created'),
    seed: reader.integer('seed', 0, Number.MAX_SAFE_INTEGER),
    detector,
    experts: { broker: Panel.fromJSON(experts.raw('broker'), 'broker', detector) }
  }
  if (experts.raw('wire') !== undefined) model.experts.wire = Panel.fromJSON(experts.raw('wire'), 'wire', detector)
  if (experts.raw('messages') !== undefined) model.experts.messages = Expert.messagesFromJSON(experts.raw('messages'))
  if (reader.raw('threshold') !== undefined) model.threshold = reader.number('threshold')
  const alert = reader.raw('alert')
  const metrics = reader.raw('metrics')
  if (alert !== undefined) model.alert = alert as Json
  if (metrics !== undefined) model.metrics = metrics as Json
  return model
}

async function readText(path: string): Promise<string> {
  try {
    const { size } = await stat(path)
    if (size > MAX_MODEL_BYTES) throw new Error(`it has ${size} bytes, the limit is ${MAX_MODEL_BYTES}`)
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new OperatorError(
      'model-not-readable',
      `cannot read the model ${path}: ${reason(error)}`,
      'check the path, or train a model with "artemis train"',
      { cause: error }
    )
  }
}

function parse(path: string, text: string): object {
  let content: unknown
  try {
    content = JSON.parse(text)
  } catch (error) {
    throw damaged(path, 'invalid JSON, or cut off', error)
  }
  if (typeof content !== 'object' || content === null) throw damaged(path, 'not a JSON object')
  return content
}

function checkDigest(path: string, content: object, stated: string): string {
  const rest = Object.fromEntries(Object.entries(content).filter(([name]) => name !== 'digest'))
  let digest: string
  try {
    digest = digestContent(rest)
  } catch (error) {
    // JSON.stringify overflows the stack on JSON nested thousands of levels deep. No model is.
    throw damaged(path, 'nested too deeply', error)
  }
  if (digest !== stated) {
    throw new OperatorError(
      'model-edited',
      `${path} was changed after it was written: its digest does not match`,
      'restore it from a backup or train it again'
    )
  }
  return digest
}

function digestContent(content: object): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('hex')
}

function damaged(path: string, what: string, cause?: unknown): OperatorError {
  return new OperatorError(
    'model-damaged',
    `${path} is not a valid model: ${what}`,
    'restore it from a backup or train it again',
    { cause }
  )
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o644)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Makes the new name durable across a power failure. */
async function syncFolder(path: string): Promise<void> {
  // Windows cannot sync folders.
  if (process.platform === 'win32') return
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
