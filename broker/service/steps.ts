// What an installation does to the machine: steps that are shown first, and done only where that is wanted.

import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { OperatorError } from '../../src/errors.js'

/** One change to the machine. */
export type Step =
  | { kind: 'write'; file: string; text: string; mode: number }
  | { kind: 'remove'; path: string }
  | { kind: 'run'; why: string; command: readonly string[] }

/** A machine, or a folder that stands for one. */
export interface TargetSystem {
  /** `/`, or the folder; then files are written below it, and no command is run. */
  root: string
}

/** Whether a folder stands for the machine. */
export function isStaged({ root }: TargetSystem): boolean {
  return path.resolve(root) !== '/'
}

/** Where a path of the machine lies. */
export function pathOn({ root }: TargetSystem, file: string): string {
  return path.join(root, file)
}

/** What a file of the machine holds; undefined where it is not there. */
export function contentsOf(machine: TargetSystem, file: string): string | undefined {
  try {
    return readFileSync(pathOn(machine, file), 'utf8')
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw new OperatorError(
      'service-read',
      `${file} cannot be read: ${(error as Error).message}`,
      'Run it as root: sudo.',
      { cause: error }
    )
  }
}

/** A step in words. */
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
 * Does a step.
 * @throws OperatorError `service-step` where the system refuses
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
      `This failed: ${describe(step, machine)}: ${message}`,
      code === 'EACCES' || code === 'EPERM'
        ? 'Run it as root: sudo. What was done before it stays; running it again goes on from there.'
        : 'What was done before it stays; running it again goes on from there.',
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
      `This failed: ${[program, ...args].join(' ')} (exit code ${status}).`,
      'Its own message stands above. What was done before it stays; running it again goes on from there.'
    )
}
