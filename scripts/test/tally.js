// Counts tests in TAP: passed, failed, skipped, and why they were skipped.

import { Parser } from 'tap-parser'

/** Lines that are shown of a failed assertion. */
const MOST_LINES = 12

/**
 * Starts a count; write TAP to `parser` and read `counts` when it has ended.
 *
 * A test is a subtest without subtests of its own, or a file without any: assertions are not counted
 * one by one. Whatever is skipped or marked to do counts as skipped, be it a test or an assertion. What
 * fails beside its subtests (a crash, a wrong plan) counts as one failed test.
 *
 * `onFile` is told of each file that ended, with the parser's result and the file's own counts, which say what failed.
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
    // A file of nothing but skipped tests has passed nothing.
    counts.holdsNothingElse = counts.skipped > 0 && assertions === 0
  })
  parser.on('bailout', () => {
    if (parser.level === 0) counts.failed++
  })
  return counts
}

function add(counts, ended, ok) {
  if (!ok && ended.failed === 0) ended.failed = 1
  else if (ok && ended.subtests === 0 && !ended.holdsNothingElse) ended.passed = 1
  counts.passed += ended.passed
  counts.failed += ended.failed
  counts.skipped += ended.skipped
  counts.reasons.push(...ended.reasons)
  counts.failures.push(...ended.failures)
}

/** The first lines of what the assertion says: enough to know where to look. */
function failureOf(parser, { name, diag }) {
  const { error, diff, at } = diag ?? {}
  const place = at === undefined ? [] : [`at ${at.fileName}:${at.lineNumber}`]
  const what = (error?.message ?? diff ?? '').trimEnd().split('\n').slice(0, MOST_LINES)
  return [`${parser.fullname} > ${name}`, ...place, ...what].filter(line => line !== '').join('\n    ')
}

function reasonOf(parser, { name, skip, todo }) {
  const where = [parser.fullname, name].filter(part => part !== '').join(' > ')
  const why = [skip, todo].find(text => typeof text === 'string') ?? 'no reason given'
  return `${where}: ${why}`
}
