// A model on disk: one JSON file that is complete and unchanged, or refused with the reason.

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

/** The largest file that is read, bytes. */
const MAX_MODEL_BYTES = 256 * 2 ** 20

/** Whatever JSON can hold. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

/** What a model file holds. */
export interface Model {
  /** When it was trained, ISO 8601. */
  created: string
  seed: number
  detector: DetectorKind
  experts: Experts
  /** Score above which a record is an outlier; undefined where that of the detector holds. */
  threshold?: number
  /** What the alert stage learnt; the model does not look into it. */
  alert?: Json
  /** What the model scored in its evaluation. */
  metrics?: Json
}

/** A model and the SHA-256 of its content in hex, which names it in alerts. */
export interface LoadedModel extends Model {
  readonly digest: string
}

/**
 * Writes a model, whole or not at all: to a file beside `path` that then takes its name.
 * @returns the SHA-256 of its content
 * @throws OperatorError `model-not-writable` where the system refuses
 */
export async function saveModel(path: string, model: Model): Promise<string> {
  const { created, seed, detector, experts, threshold, alert, metrics } = model
  // Through JSON and back: what is hashed is then what a reader of the file sees.
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
    // Where even this fails, the first error says why.
    await rm(temporary, { force: true }).catch(() => undefined)
    throw new OperatorError(
      'model-not-writable',
      `the model cannot be written to ${path}: ${reason(error)}`,
      'check that the folder exists, may be written to and has room',
      { cause: error }
    )
  }
  return digest
}

/**
 * Reads a model.
 * @throws OperatorError `model-not-readable`, `model-damaged` (no JSON, cut off, or not what a model
 * holds), `model-format`, `model-schema` (of another version), `model-edited`, `model-features`
 */
export async function loadModel(path: string): Promise<LoadedModel> {
  const content = parse(path, await readText(path))
  try {
    const reader = new StateReader(content, 'model')
    if (reader.raw('format') !== FORMAT) {
      throw new OperatorError(
        'model-format',
        `${path} is not a model: its format is not ${FORMAT}`,
        'name a file that "artemis train" wrote'
      )
    }
    const schema = reader.integer('schema', 1, Number.MAX_SAFE_INTEGER)
    if (schema > SCHEMA) {
      throw new OperatorError(
        'model-schema',
        `${path} has schema ${schema}, and this version reads up to ${SCHEMA}`,
        'update, or train the model with this version'
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
  if (!isDetectorKind(detector)) throw new DetectorError('state', `there is no detector ${detector}`)
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
    if (size > MAX_MODEL_BYTES) throw new Error(`it has ${size} bytes, and a model has at most ${MAX_MODEL_BYTES}`)
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new OperatorError(
      'model-not-readable',
      `the model ${path} cannot be read: ${reason(error)}`,
      'check the name, or train a model with "artemis train"',
      { cause: error }
    )
  }
}

function parse(path: string, text: string): object {
  let content: unknown
  try {
    content = JSON.parse(text)
  } catch (error) {
    throw damaged(path, 'it is not JSON, or is cut off', error)
  }
  if (typeof content !== 'object' || content === null) throw damaged(path, 'it is JSON, but no object')
  return content
}

function checkDigest(path: string, content: object, stated: string): string {
  const rest = Object.fromEntries(Object.entries(content).filter(([name]) => name !== 'digest'))
  let digest: string
  try {
    digest = digestContent(rest)
  } catch (error) {
    // JSON.stringify runs out of stack on what is nested thousands deep, which no model is.
    throw damaged(path, 'it is nested too deep', error)
  }
  if (digest !== stated) {
    throw new OperatorError(
      'model-edited',
      `${path} was changed after it was written: its digest does not match`,
      'take the file from a backup or train it again'
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
    `${path} is no usable model: ${what}`,
    'take the file from a backup or train it again',
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

/** Makes the new name survive a power cut. */
async function syncFolder(path: string): Promise<void> {
  // Windows has no such call for folders.
  if (process.platform === 'win32') return
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
