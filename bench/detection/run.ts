// On what machine, from which sources and by which command something was measured.

import { execFileSync } from 'node:child_process'
import { cpus, loadavg, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'

/** A measurement's circumstances. */
export interface Run {
  /** Day, ISO 8601. */
  date: string
  command: string
  /** Of the sources; with `+` where they were changed since. Null outside a clone. */
  commit: string | null
  node: string
  processor: string
  memoryGB: number
  /** Over the last minute, when the measurement ended. */
  load: number
  /** How long it took, seconds, without the making of captures. */
  seconds: number
}

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

/**
 * @param script name of the npm script
 * @param begun of `performance.now()`
 */
export function describeRun(script: string, begun: number): Run {
  return {
    date: new Date().toISOString().slice(0, 10),
    command: commandOf(script, process.argv.slice(2)),
    commit: commitOf(),
    node: process.versions.node,
    processor: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`,
    memoryGB: Math.round(totalmem() / 2 ** 30),
    load: Math.round(loadavg()[0] * 10) / 10,
    seconds: Math.round((performance.now() - begun) / 1_000)
  }
}

/** A line for a report. */
export function runLine({ date, command, commit, node, processor, memoryGB, load, seconds }: Run): string {
  return `\`${command}\`, ${date}, ${commit === null ? '' : `commit ${commit}, `}Node ${node}, ${processor}, ${memoryGB} GB, load ${load}; ${seconds} s`
}

/** What was called; folders are the caller's own. */
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
