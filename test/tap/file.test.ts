// The file tap, where it differs from a live tap.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openTap } from '../../src/tap/catalog.js'

const options = { ports: [1883], snapLength: 0 }

t.test('a file that is closed early ends like any tap', async t => {
  const path = join(t.testdir(), 'large')
  writeFileSync(path, Buffer.alloc(8 * 1024 * 1024))
  const session = await openTap({ kind: 'file', path }, {}, options)
  let read = 0
  for await (const chunk of session.bytes) {
    if (read === 0) t.same(await session.close(), {})
    read += chunk.length
  }
  t.ok(read > 0 && read < 8 * 1024 * 1024)
})

t.test('rejects files that cannot be read', async t => {
  const directory = t.testdir()
  await t.rejects(openTap({ kind: 'file', path: join(directory, 'nowhere') }, {}, options), {
    code: 'tap-file',
    message: /does not exist/,
    remedy: /current directory/
  })
  await t.rejects(openTap({ kind: 'file', path: directory }, {}, options), {
    code: 'tap-file',
    message: /is a directory/
  })
})
