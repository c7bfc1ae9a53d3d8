// The local tap where tcpdump is not as it should be: a stand-in comes first on the path of this process.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openTap, resolveTarget } from '../../src/tap/catalog.js'
import type { TapSession } from '../../src/types.js'
import { captureImpossible, collect, processesLike, waitUntil } from './traffic.js'

const path = process.env.PATH ?? ''
const options = { ports: [1883], snapLength: 66 }

/** Makes a shell script stand in for tcpdump as long as the test lasts. */
function standIn(t: Test, script: string): void {
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

t.test('tcpdump without rights', async t => {
  standIn(t, 'echo "tcpdump: any: You don\'t have permission to capture on that device" >&2; exit 1')
  await t.rejects(open(), { code: 'tap-not-permitted', message: /On this machine/, remedy: /setcap/ })
  t.match(await resolveTarget({ kind: 'auto' }, {}, options), {
    target: { kind: 'none' },
    decision: /^No tap.*may not capture on any/,
    obstacle: { code: 'tap-not-permitted' }
  })
})

t.test('no tcpdump', async t => {
  standIn(t, 'exit 127')
  await t.rejects(open(), { code: 'tap-tcpdump-missing', message: /this machine/, remedy: /apt-get install tcpdump/ })
})

t.test('a tcpdump that does not end is ended by force', async t => {
  // What a shell ignores, the program that it becomes ignores too.
  standIn(t, 'trap "" TERM; echo listening on lo >&2; exec tail -f "$0"')
  const session = await open()
  const running = (): number[] => processesLike(new RegExp(`^tail -f ${t.testdirName}/tcpdump`))
  if (process.platform === 'linux') await waitUntil('it runs', () => running().length === 1)
  t.same(await session.close(), {}, 'without counts')
  await waitUntil('it is gone', () => running().length === 0)
})

t.test('a tcpdump that ends of itself', async t => {
  standIn(
    t,
    'echo listening on lo >&2; echo bytes before the end; echo "tcpdump: the interface disappeared" >&2; exit 1'
  )
  const seen = collect((await open()).bytes)
  await t.rejects(seen.ended, { code: 'tap-ended', message: /interface disappeared/ })
  t.equal(seen.text(), 'bytes before the end\n', 'what it said before is not lost')
})

t.test(
  'auto, where tcpdump may capture',
  { skip: captureImpossible() || (process.platform !== 'linux' && 'has no interface "any"') },
  async t => {
    t.match(await resolveTarget({ kind: 'auto' }, {}, options), {
      target: { kind: 'local', interface: 'any' },
      decision: 'Tap: all interfaces of this machine (local:any).'
    })
  }
)

t.test('what was said outright is not decided again', async t => {
  t.same(await resolveTarget({ kind: 'none' }, {}, options), { target: { kind: 'none' } })
  t.same(await resolveTarget({ kind: 'local', interface: 'nosuch0' }, {}, options), {
    target: { kind: 'local', interface: 'nosuch0' }
  })
})
