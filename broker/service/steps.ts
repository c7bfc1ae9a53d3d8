// The steps of an installation, which are printed before they are run.

import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { OperatorError } from '../../src/errors.js'

const CONTINUE = 'Earlier steps are kept; run it again to continue.'

/** One change to the machine. */
export type Step =
  | { kind: 'write'; file: string; text: string; mode: number }
  | { kind: 'remove'; path: string }
  | { kind: 'run'; why: string; command: readonly string[] }

/** A machine, or a staging folder. */
export interface TargetSystem {
  /** `/`, or a staging folder: files are written below it, and no commands are run. */
  root: string
}

/** Whether the target is a staging folder. */
export function isStaged({ root }: TargetSystem): boolean {
  return path.resolve(root) !== '/'
}

/** Returns the path of a file below the root. */
export function pathOn({ root }: TargetSystem, file: string): string {
  return path.join(root, file)
}

/** Reads a file of the machine; undefined if it does not exist. */
export function contentsOf(machine: TargetSystem, file: string): string | undefined {
  try {
    return readFileSync(pathOn(machine, file), 'utf8')
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw new OperatorError(
      'service-read',
      `Cannot read ${file}: ${(error as Error).message}`,
      'Run it as root (sudo).',
      { cause: error }
    )
  }
}

/** Describes a step. */
export function describe(step: Step, machine: TargetSystem): string {
  switch (step.kind) {
    case 'write':
      return `${contentsOf(machine, step.file) === undefined ? 'write' : 'replace'} ${pathOn(machine, step.file)}`
    case 'remove':
      return `remove ${pathOn(machine, step.path)}`
    case 'run':
      return `${isStaged(machine) ? 'not run because of --root: ' : ''}${step.command.join(' ')}   # ${step.why}`
  }
}

/**
 * Runs a step.
 * @throws OperatorError `service-step` if it fails
 */
export function perform(step: Step, machine: TargetSystem): void {
  try {
    if (step.kind === 'write') write(pathOn(machine, step.file), step.text, step.mode)
    else if (step.kind === 'remove') rmSync(pathOn(machine, step.path), { recursive: true, force: true })
    else if (!isStaged(machine)) run(step.command)
  } catch (error) {
    if (error instanceof OperatorError) throw error
    const { code, message } = error as NodeJS.ErrnoException
    throw new OperatorError(
      'service-step',
      `Step failed: ${describe(step, machine)}: ${message}`,
      code === 'EACCES' || code === 'EPERM' ? `Run it as root (sudo). ${CONTINUE}` : CONTINUE,
      { cause: error }
    )
  }
}

function write(file: string, text: string, mode: number): void {
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, text)
  chmodSync(file, mode)
}

function run([program = '', ...args]: readonly string[]): void {
  const { status, error } = spawnSync(program, args, { stdio: ['ignore', 2, 2] })
  if (error !== undefined) throw error
  if (status !== 0)
    throw new OperatorError(
      'service-step',
      `Step failed: ${[program, ...args].join(' ')} (exit code ${status}).`,
      `See its output above. ${CONTINUE}`
    )
}
