// A tmpfs of any size, to test a full or read-only disk. Needs root.

import { spawnSync, type SpawnSyncReturns } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmdirSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import type { Test } from 'tap'

function run(command: string, ...args: string[]): string | false {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' }) as SpawnSyncReturns<string | null>
  return status === 0 ? false : `${command}: ${stderr?.trim() || error?.message || 'failed'}`
}

function mount(folder: string, options: string): string | false {
  return run('mount', '-t', 'tmpfs', '-o', options, 'tmpfs', folder)
}

/** Returns the reason to skip a test that needs a tmpfs, or false. */
export function diskMissing(): string | false {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs root to mount a file system'
  const folder = mkdtempSync(path.join(os.tmpdir(), 'artemis-disk-'))
  const reason = mount(folder, 'size=64k')
  if (reason === false) run('umount', folder)
  rmdirSync(folder)
  return reason === false ? false : `cannot mount a file system: ${reason}`
}

/** Mounts a tmpfs on `folder` until the end of the test. */
export function mountDisk(test: Test, folder: string, sizeBytes: number): { makeReadOnly: () => void } {
  mkdirSync(folder, { recursive: true })
  throwIf(mount(folder, `size=${sizeBytes},mode=0700`))
  test.teardown(() => {
    throwIf(run('umount', folder))
  })
  return {
    makeReadOnly: () => {
      throwIf(run('mount', '-o', 'remount,ro', folder))
    }
  }
}

function throwIf(reason: string | false): void {
  if (reason !== false) throw new Error(reason)
}
