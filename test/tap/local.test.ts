// Failures of the local tap: a script that replaces tcpdump is first on the PATH.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openTap, resolveTarget } from '../../src/tap/catalog.js'
import type { TapSession } from '../../src/types.js'
import { captureImpossible, collect, processesLike, waitUntil } from './traffic.js'

const path = process.env.PATH ?? ''
const options = { ports: [1883], snapLength: 66 }

/** Replaces tcpdump by a shell script during the test. */
function replaceTcpdump(t: Test, script: string): void {
  const directory = t.testdir()
  writeFileSync(join(directory, 'tcpdump'), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  process.env.PATH = `${directory}:${path}`
  t.teardown(() => {
    process.env.PATH = path
  })
}

function open(): Promise<TapSession> {
  return openTap({ kind: 'local', interface: 'lo' }, {}, options)
}

t.test('reports missing capture permission', async t => {
  replaceTcpdump(t, 'echo "tcpdump: any: You don\'t have permission to capture on that device" >&2; exit 1')
  await t.rejects(open(), { code: 'tap-not-permitted', message: /of this machine/, remedy: /setcap/ })
  t.match(await resolveTarget({ kind: 'auto' }, {}, options), {
    target: { kind: 'none' },
    decision: /^No tap.*No permission to capture on interface any/,
    obstacle: { code: 'tap-not-permitted' }
  })
})

t.test('reports missing tcpdump', async t => {
  replaceTcpdump(t, 'exit 127')
  await t.rejects(open(), { code: 'tap-tcpdump-missing', message: /this machine/, remedy: /apt-get install tcpdump/ })
})

t.test('kills a tcpdump that does not exit', async t => {
  // A program started with exec inherits the ignored signals of the shell.
  replaceTcpdump(t, 'trap "" TERM; echo listening on lo >&2; exec tail -f "$0"')
  const session = await open()
  const running = (): number[] => processesLike(new RegExp(`^tail -f ${t.testdirName}/tcpdump`))
  if (process.platform === 'linux') await waitUntil('it runs', () => running().length === 1)
  t.same(await session.close(), {}, 'without counts')
  await waitUntil('it has exited', () => running().length === 0)
})

t.test('reports an unexpected exit of tcpdump', async t => {
  replaceTcpdump(
    t,
    'echo listening on lo >&2; echo bytes before the end; echo "tcpdump: the interface disappeared" >&2; exit 1'
  )
  const seen = collect((await open()).bytes)
  await t.rejects(seen.ended, { code: 'tap-ended', message: /interface disappeared/ })
  t.equal(seen.text(), 'bytes before the end\n', 'its earlier output is delivered')
})

t.test(
  'resolves auto to local:any if tcpdump can capture',
  { skip: captureImpossible() || (process.platform !== 'linux' && 'has no interface "any"') },
  async t => {
    t.match(await resolveTarget({ kind: 'auto' }, {}, options), {
      target: { kind: 'local', interface: 'any' },
      decision: 'Tap: all interfaces of this machine (local:any).'
    })
  }
)

t.test('does not resolve explicit targets', async t => {
  t.same(await resolveTarget({ kind: 'none' }, {}, options), { target: { kind: 'none' } })
  t.same(await resolveTarget({ kind: 'local', interface: 'nosuch0' }, {}, options), {
    target: { kind: 'local', interface: 'nosuch0' }
  })
})
