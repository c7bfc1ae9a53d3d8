// The counts of a test run: passed, failed, crashed and skipped tests.

import { fileURLToPath, pathToFileURL } from 'node:url'
import path from 'node:path'
import t from 'tap'

interface Counts {
  passed: number
  failed: number
  skipped: number
  reasons: string[]
  failures: string[]
}
interface Tally {
  startTally: () => { parser: { end(text: string): void }; counts: Counts }
}

const script = path.join(fileURLToPath(new URL('../../../', import.meta.url)), 'scripts/test/tally.js')

async function count(tap: string): Promise<Counts> {
  const { startTally } = (await import(pathToFileURL(script).href)) as Tally
  const { parser, counts } = startTally()
  parser.end(`TAP version 14\n${tap}`)
  return counts
}

t.test('counts innermost subtests and no assertions', async t => {
  t.match(
    await count(
      [
        '# Subtest: a.test.js',
        '    # Subtest: outer',
        '        # Subtest: inner',
        '            ok 1 - this',
        '            ok 2 - that',
        '            1..2',
        '        ok 1 - inner',
        '        ok 2 - beside',
        '        1..2',
        '    ok 1 - outer',
        '    # Subtest: other',
        '        not ok 1 - this',
        '        not ok 2 - that',
        '        1..2',
        '    not ok 2 - other',
        '    1..2',
        'not ok 1 - a.test.js',
        '1..1',
        ''
      ].join('\n')
    ),
    { passed: 1, failed: 1, skipped: 0 }
  )
})

t.test('reports failures with their location', async t => {
  const { failures } = await count(
    [
      '# Subtest: a.test.js',
      '    # Subtest: outer',
      '        not ok 1 - should be equal',
      '          ---',
      '          diff: |',
      '            -2',
      '            +1',
      '          at:',
      '            fileName: test/a.test.ts',
      '            lineNumber: 3',
      '          ...',
      '        1..1',
      '    not ok 1 - outer',
      '    1..1',
      'not ok 1 - a.test.js',
      '1..1',
      ''
    ].join('\n')
  )
  t.same(failures, ['a.test.js > outer > should be equal\n    at test/a.test.ts:3\n    -2\n    +1'])
})

t.test('skipped tests count with their reason, and not as passed', async t => {
  t.match(
    await count(
      [
        '# Subtest: a.test.js',
        '    ok 1 - capture # SKIP tcpdump is missing',
        '    # Subtest: partly',
        '        ok 1 - root # SKIP not root',
        '        ok 2 - rest',
        '        1..2',
        '    ok 2 - partly',
        '    1..2',
        'ok 1 - a.test.js',
        '# Subtest: b.test.js',
        '    ok 1 - all of it # SKIP later',
        '    1..1',
        'ok 2 - b.test.js',
        '# Subtest: c.test.js',
        '    1..0 # SKIP no network',
        'ok 3 - c.test.js # SKIP no network',
        '1..3',
        ''
      ].join('\n')
    ),
    {
      passed: 1,
      failed: 0,
      skipped: 4,
      reasons: [
        'a.test.js > capture: tcpdump is missing',
        'a.test.js > partly > root: not root',
        'b.test.js > all of it: later',
        'c.test.js: no network'
      ]
    }
  )
})

t.test('a crash is a failure, also after all tests have passed', async t => {
  t.match(
    await count(
      [
        '# Subtest: a.test.js',
        '    1..0 # no tests found',
        'not ok 1 - a.test.js',
        '# Subtest: b.test.js',
        '    # Subtest: fine',
        '        ok 1 - this',
        '        1..1',
        '    ok 1 - fine',
        '    1..1',
        'not ok 2 - b.test.js',
        '1..2',
        ''
      ].join('\n')
    ),
    { passed: 1, failed: 2, skipped: 0 }
  )
})
