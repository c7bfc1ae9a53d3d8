// The CI run: failed files are rerun, and a file that passes only the second time is reported as flaky.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, cpSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'

const RUN = fileURLToPath(new URL('../../../.ci/run', import.meta.url))

interface Outcome {
  lines: string[]
  code: number | null
  /** Arguments of each call of npm. */
  calls: string[]
}

/** Runs .ci/run with an npm that prints `first` for the tests, and `second` for the rerun. */
async function runCi(test: Test, first: string[], second: string[] = []): Promise<Outcome> {
  const folder = test.testdir({
    '.ci': {},
    first: `${first.join('\n')}\n`,
    second: `${second.join('\n')}\n`,
    calls: '',
    bin: {
      npm: `#!/bin/sh
echo "$*" >> calls
case "$*" in
  test) cat first; ! grep -q ^FAILED first;;
  "test -- --jobs=1 "*) cat second; ! grep -q ^FAILED second;;
esac
`
    }
  })
  cpSync(RUN, path.join(folder, '.ci/run'))
  chmodSync(path.join(folder, 'bin/npm'), 0o755)
  const child = spawn('bash', [path.join(folder, '.ci/run')], {
    env: { ...process.env, PATH: `${path.join(folder, 'bin')}:${process.env.PATH}` },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const [out, [code]] = await Promise.all([text(child.stdout), once(child, 'close') as Promise<[number | null]>])
  return {
    lines: out.trimEnd().split('\n'),
    code,
    calls: readFileSync(path.join(folder, 'calls'), 'utf8').trimEnd().split('\n')
  }
}

t.test('without a failed file nothing is rerun', async t => {
  const { lines, code, calls } = await runCi(t, [
    'ok dist/test/a.test.js (7 passed, 0 failed, 1 skipped)',
    '7 passed, 0 failed, 1 skipped'
  ])
  t.equal(code, 0)
  t.same(
    calls.filter(call => call.startsWith('test')),
    ['test']
  )
  t.equal(lines.at(-1), '7 passed, 0 failed, 1 skipped')
  t.notOk(lines.some(line => line.startsWith('flaky')))
})

t.test('a file that passes only the second time is flaky', async t => {
  const { lines, code, calls } = await runCi(
    t,
    [
      'ok dist/test/a.test.js (7 passed, 0 failed, 1 skipped, 1.0 s)',
      'FAILED dist/test/b.test.js (3 passed, 1 failed, 0 skipped, 2.0 s)',
      'FAILED dist/test/c.test.js (0 passed, 1 failed, 0 skipped, no result)',
      '10 passed, 2 failed, 1 skipped'
    ],
    [
      'ok dist/test/b.test.js (4 passed, 0 failed, 0 skipped, 2.0 s)',
      'ok dist/test/c.test.js (5 passed, 0 failed, 1 skipped, 2.0 s)',
      '9 passed, 0 failed, 1 skipped'
    ]
  )
  t.equal(code, 0)
  t.ok(calls.includes('test -- --jobs=1 dist/test/b.test.js dist/test/c.test.js'))
  t.same(lines.slice(-3), [
    'flaky: dist/test/b.test.js',
    'flaky: dist/test/c.test.js',
    '16 passed, 0 failed, 2 skipped, 2 flaky'
  ])
})

t.test('a file that fails twice is not flaky and fails the run', async t => {
  const { lines, code } = await runCi(
    t,
    [
      'FAILED dist/test/b.test.js (3 passed, 1 failed, 0 skipped, 2.0 s)',
      'FAILED dist/test/c.test.js (1 passed, 1 failed, 0 skipped, 2.0 s)',
      '4 passed, 2 failed, 0 skipped'
    ],
    [
      'FAILED dist/test/b.test.js (3 passed, 1 failed, 0 skipped, 2.0 s)',
      'ok dist/test/c.test.js (2 passed, 0 failed, 0 skipped, 2.0 s)',
      '5 passed, 1 failed, 0 skipped'
    ]
  )
  t.equal(code, 1)
  t.same(lines.slice(-2), ['flaky: dist/test/c.test.js', '5 passed, 1 failed, 0 skipped, 1 flaky'])
})
