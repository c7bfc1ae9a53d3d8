// Installs the missing system programs with apt, without starting their services.

import { spawnSync } from 'node:child_process'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import process from 'node:process'
import { findProgram, packagesOf } from '../system-programs.js'

// invoke-rc.d runs this program before it starts a service; exit code 101 forbids it (Debian policy-rc.d).
const POLICY = '/usr/sbin/policy-rc.d'

function aptGet(args) {
  const { status, error } = spawnSync('apt-get', args, {
    stdio: ['ignore', 2, 2],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  })
  if (error !== undefined) throw error
  return status === 0
}

/** Installs the packages of `rows`. Reports on standard error if it cannot. */
export function installPrograms(rows) {
  if (process.getuid?.() !== 0 || findProgram('apt-get') === undefined) {
    process.stderr.write('test: cannot install the missing programs: this needs root on Debian\n')
    return
  }
  // Handled after apt-get has finished, so that the policy file below is always removed.
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143]
  ])
    process.once(signal, () => process.exit(code))
  const isOwnPolicy = !existsSync(POLICY)
  if (isOwnPolicy) writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    const install = ['install', '--yes', '--no-install-recommends', ...packagesOf(rows)]
    // The package lists of a fresh image are empty or outdated.
    if (!aptGet(install) && aptGet(['update'])) aptGet(install)
  } finally {
    if (isOwnPolicy) rmSync(POLICY, { force: true })
  }
}
