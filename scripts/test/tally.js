// Counts passed, failed and skipped tests in TAP, and collects the reasons for skipping.

import { Parser } from 'tap-parser'

/** Maximum number of lines shown of a failed assertion. */
const MAX_LINES = 12

/**
 * Starts a count. Write TAP to `parser`, and read `counts` when it has ended.
 *
 * A test is a subtest without subtests, or a file without any. Assertions are not counted
 * individually. Skipped and todo tests and assertions count as skipped. A failure
 * outside the subtests (a crash, a wrong plan) counts as one failed test.
 *
 * `onFile` is called for each finished file with the parser's result and the file's own counts and failures.
 */
export function startTally(onFile = () => {}) {
  const parser = new Parser()
  return { parser, counts: follow(parser, onFile) }
}

function follow(parser, onFile) {
  const counts = { passed: 0, failed: 0, skipped: 0, subtests: 0, reasons: [], failures: [] }
  let assertions = 0
  let child
  parser.on('child', nested => {
    child = follow(nested, () => {})
  })
  parser.on('assert', result => {
    const ended = result.closingTestPoint ? child : undefined
    child = undefined
    if (result.skip || result.todo) {
      counts.skipped++
      counts.reasons.push(reasonOf(parser, result))
    } else if (ended !== undefined) {
      add(counts, ended, result.ok)
      counts.subtests++
    } else {
      assertions++
      if (!result.ok) counts.failures.push(failureOf(parser, result))
    }
    onFile(result, ended)
  })
  parser.on('complete', () => {
    // A file with only skipped tests does not count as passed.
    counts.isAllSkipped = counts.skipped > 0 && assertions === 0
  })
  parser.on('bailout', () => {
    if (parser.level === 0) counts.failed++
  })
  return counts
}

function add(counts, ended, ok) {
  if (!ok && ended.failed === 0) ended.failed = 1
  else if (ok && ended.subtests === 0 && !ended.isAllSkipped) ended.passed = 1
  counts.passed += ended.passed
  counts.failed += ended.failed
  counts.skipped += ended.skipped
  counts.reasons.push(...ended.reasons)
  counts.failures.push(...ended.failures)
}

/** Returns the location and the first lines of a failed assertion. */
function failureOf(parser, { name, diag }) {
  const { error, diff, at } = diag ?? {}
  const location = at === undefined ? [] : [`at ${at.fileName}:${at.lineNumber}`]
  const details = (error?.message ?? diff ?? '').trimEnd().split('\n').slice(0, MAX_LINES)
  return [`${parser.fullname} > ${name}`, ...location, ...details].filter(line => line !== '').join('\n    ')
}

function reasonOf(parser, { name, skip, todo }) {
  const test = [parser.fullname, name].filter(part => part !== '').join(' > ')
  const reason = [skip, todo].find(text => typeof text === 'string') ?? 'no reason given'
  return `${test}: ${reason}`
}
