// What tap is told before each test file, so that the tests find things as users have them.

import process from 'node:process'
import { isMainThread } from 'node:worker_threads'
import processOnSpawn from 'process-on-spawn'

// Threads of a broker and forks load this, too.
if (isMainThread && process.argv[1]?.endsWith('.test.js')) {
  // tap loads its module hooks into every child, for a coverage that is not measured here; a broker takes twice as
  // long to start with them.
  delete process.env.NODE_OPTIONS
  processOnSpawn.addListener(child => {
    const env = { ...child.env }
    delete env.NODE_OPTIONS
    child.env = env
  })

  // A test's folder goes before what it started has been stopped, unless a teardown is told before the folder is made.
  const { default: t } = await import('tap')
  const firstTeardown = test => {
    test.teardown(() => {})
  }
  firstTeardown(t)
  t.beforeEach(firstTeardown)
}
