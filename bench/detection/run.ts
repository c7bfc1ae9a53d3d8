// Describes a measurement: machine, sources and command.

import { execFileSync } from 'node:child_process'
import { cpus, loadavg, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'

/** Machine, sources and command of a measurement. */
export interface Run {
  /** Day, ISO 8601. */
  date: string
  command: string
  /** Commit of the sources, followed by `+` if they were changed since. Null outside a clone. */
  commit: string | null
  node: string
  processor: string
  memoryGB: number
  /** Load average over the last minute, at the end of the measurement. */
  load: number
  /** Duration without making captures, seconds. */
  seconds: number
}

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

/**
 * Describes the current run.
 *
 * @param script name of the npm script
 * @param startedAt `performance.now()` at the start
 */
export function describeRun(script: string, startedAt: number): Run {
  return {
    date: new Date().toISOString().slice(0, 10),
    command: commandOf(script, process.argv.slice(2)),
    commit: commitOf(),
    node: process.versions.node,
    processor: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`,
    memoryGB: Math.round(totalmem() / 2 ** 30),
    load: Math.round(loadavg()[0] * 10) / 10,
    seconds: Math.round((performance.now() - startedAt) / 1_000)
  }
}

/** Formats a run as one line. */
export function runLine({ date, command, commit, node, processor, memoryGB, load, seconds }: Run): string {
  return `\`${command}\`, ${date}, ${commit === null ? '' : `commit ${commit}, `}Node ${node}, ${processor}, ${memoryGB} GB, load ${load}; ${seconds} s`
}

/** Returns the command line, with folders shortened to DIR. */
function commandOf(script: string, args: readonly string[]): string {
  const shown = args.map(arg => (arg.includes('/') ? arg.replace(/[^=]*\/.*/, 'DIR') : arg))
  return ['npm run', script, ...(shown.length === 0 ? [] : ['--']), ...shown].join(' ')
}

function commitOf(): string | null {
  const git = (...args: string[]): string =>
    execFileSync('git', ['-C', ROOT, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  try {
    return `${git('rev-parse', '--short', 'HEAD')}${git('status', '--porcelain', '--', 'models', 'src', 'broker', 'bench', ':!bench/results', ':!models/trained') === '' ? '' : '+'}`
  } catch {
    return null
  }
}
