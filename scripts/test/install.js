// Installs the missing system programs with apt, without letting the package start its service.

import { spawnSync } from 'node:child_process'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import process from 'node:process'
import { findProgram, packagesOf } from '../system-programs.js'

// invoke-rc.d asks this program whether it may start a service; 101 says no (Debian policy-rc.d).
const POLICY = '/usr/sbin/policy-rc.d'

function aptGet(args) {
  const { status, error } = spawnSync('apt-get', args, {
    stdio: ['ignore', 2, 2],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  })
  if (error !== undefined) throw error
  return status === 0
}

/** Installs the packages of `rows`; says on standard error why it cannot. */
export function installPrograms(rows) {
  if (process.getuid?.() !== 0 || findProgram('apt-get') === undefined) {
    process.stderr.write('test: the missing programs can be installed here only by root on Debian\n')
    return
  }
  // Handled after apt-get is done, so that the policy below never stays behind.
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143]
  ])
    process.once(signal, () => process.exit(code))
  const ours = !existsSync(POLICY)
  if (ours) writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    const install = ['install', '--yes', '--no-install-recommends', ...packagesOf(rows)]
    // The package lists of a fresh image are empty or old.
    if (!aptGet(install) && aptGet(['update'])) aptGet(install)
  } finally {
    if (ours) rmSync(POLICY, { force: true })
  }
}
