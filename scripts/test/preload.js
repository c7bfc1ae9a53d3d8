// Loaded before each test file: gives tests the same environment as users have.

import process from 'node:process'
import { isMainThread } from 'node:worker_threads'
import processOnSpawn from 'process-on-spawn'

// Worker threads and forks also load this file.
if (isMainThread && process.argv[1]?.endsWith('.test.js')) {
  // tap loads its coverage hooks into every child process. Coverage is disabled here, and the hooks double the start
  // time of a broker.
  delete process.env.NODE_OPTIONS
  processOnSpawn.addListener(child => {
    const env = { ...child.env }
    delete env.NODE_OPTIONS
    child.env = env
  })

  // tap deletes a test's folder before the test's processes have stopped, unless a teardown is registered before the
  // folder is created.
  const { default: t } = await import('tap')
  const firstTeardown = test => {
    test.teardown(() => {})
  }
  firstTeardown(t)
  t.beforeEach(firstTeardown)
}
