// Checks the detection: the tap, the model, and TensorFlow.js for two of the detectors.

import { stat } from 'node:fs/promises'
import path from 'node:path'
import { catalogEntry } from '../../models/index.js'
import { OperatorError } from '../../src/errors.js'
import { loadModel } from '../../src/scoring/model-file.js'
import { openTap, resolveTarget } from '../../src/tap/catalog.js'
import { parseTarget } from '../../src/tap/target.js'
import { MODEL_FILE } from '../data-files.js'
import { MAX_PATH_LENGTH, printable } from '../terminal/printable.js'
import { note, ok, problem, type Finding, type CheckContext } from './finding.js'

const TAP_LIMIT_MS = 10_000
/** Detectors that need TensorFlow.js for training, not for scoring. */
const TRAINED_WITH_TENSORFLOW: readonly string[] = ['autoencoder', 'so-gaal']

/** Checks the tap by opening it briefly. */
export async function checkTap({ effective }: CheckContext): Promise<Finding[]> {
  if (effective === undefined) return []
  const { tap, listeners } = effective.settings
  const settings = {
    identityFile: tap.identity ?? undefined,
    knownHostsFile: tap.knownHosts ?? undefined,
    hostKey: tap.hostKey ?? undefined,
    sudo: tap.sudo
  }
  const options = {
    ports: listeners.map(({ port }) => (port === 0 ? 1883 : port)),
    snapLength: tap.snapLength,
    signal: AbortSignal.timeout(TAP_LIMIT_MS)
  }
  const target = parseTarget(tap.target)
  if (target.kind === 'none') return [note('No tap (tap.target: none): records have no wire features.')]
  if (target.kind === 'auto') {
    const { obstacle } = await resolveTarget(target, settings, options)
    if (obstacle === undefined) return [ok('The tap works: tcpdump can capture on this machine.')]
    return [note(`No tap, so records have no wire features: ${lowerFirst(obstacle.message)}`, obstacle.remedy)]
  }
  try {
    await (await openTap(target, settings, options)).close()
    return [ok(`The tap ${printable(tap.target)} works.`)]
  } catch (error) {
    if (error instanceof OperatorError)
      return [problem(`The tap ${printable(tap.target)} does not work: ${lowerFirst(error.message)}`, error.remedy)]
    if (options.signal.aborted)
      return [
        problem(
          `The tap ${printable(tap.target)} did not open within ${TAP_LIMIT_MS / 1_000} s.`,
          'Check that the machine is reachable.'
        )
      ]
    throw error
  }
}

/** Checks the model file, if there is one. */
export async function checkModel({ effective }: CheckContext): Promise<Finding[]> {
  if (effective === undefined) return []
  const { detector, data, learn } = effective.settings
  const file = detector.model ?? path.join(data, MODEL_FILE)
  if (
    await stat(file).then(
      () => false,
      () => true
    )
  ) {
    if (catalogEntry(detector.kind).supervised)
      return [
        problem(
          `${detector.kind} cannot learn in place, and there is no model file.`,
          'Train a model with "artemis train --labels" and set detector.model to the file, or choose another detector.'
        )
      ]
    return [
      note(
        `No model yet: the broker will learn for at least ${Math.round(learn.duration / 60_000)} minutes and ${learn.minimumRecords} records before it guards.`
      )
    ]
  }
  try {
    const model = await loadModel(file)
    const name = printable(file, MAX_PATH_LENGTH)
    if (model.detector !== detector.kind)
      return [
        note(
          `The model ${name} is of ${model.detector}, but detector.kind is ${detector.kind}.`,
          'Move the file away to learn again.'
        )
      ]
    return [ok(`The model ${name} is valid: ${model.detector}, learnt ${printable(model.created.slice(0, 10))}.`)]
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error
    return [problem(`Cannot load the model: ${error.message}.`, error.remedy)]
  }
}

/** Checks whether TensorFlow.js is installed. Most detectors do not need it. */
export function checkTensorFlow({ effective }: CheckContext): Finding[] {
  const kind = effective?.settings.detector.kind ?? ''
  const isInstalled = ['@tensorflow/tfjs-node', '@tensorflow/tfjs-backend-wasm'].some(canResolve)
  if (isInstalled) return [ok('TensorFlow.js is installed: every detector can be trained.')]
  const message =
    'TensorFlow.js is not installed: autoencoder and so-gaal cannot be trained here. Trained models work without it.'
  return [
    TRAINED_WITH_TENSORFLOW.includes(kind)
      ? problem(
          `${message} detector.kind is ${kind}.`,
          'Run npm install @tensorflow/tfjs-node, or train elsewhere and set detector.model to the file.'
        )
      : note(message)
  ]
}

function canResolve(name: string): boolean {
  try {
    import.meta.resolve(name)
    return true
  } catch {
    return false
  }
}

function lowerFirst(sentence: string): string {
  return /^[A-Z][a-z ]/.test(sentence) ? sentence.charAt(0).toLowerCase() + sentence.slice(1) : sentence
}
