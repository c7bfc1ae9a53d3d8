// A file system in memory, of any size, which can be filled or made read-only: root may mount one.

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

/** The reason to skip a test that needs one, or false. */
export function diskMissing(): string | false {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'only root may mount a file system'
  const folder = mkdtempSync(path.join(os.tmpdir(), 'artemis-disk-'))
  const reason = mount(folder, 'size=64k')
  if (reason === false) run('umount', folder)
  rmdirSync(folder)
  return reason === false ? false : `no file system can be mounted (${reason})`
}

/** One that is there until the test ends. */
export function mountDisk(test: Test, folder: string, sizeBytes: number): { makeReadOnly: () => void } {
  mkdirSync(folder, { recursive: true })
  must(mount(folder, `size=${sizeBytes},mode=0700`))
  test.teardown(() => {
    must(run('umount', folder))
  })
  return {
    makeReadOnly: () => {
      must(run('mount', '-o', 'remount,ro', folder))
    }
  }
}

function must(reason: string | false): void {
  if (reason !== false) throw new Error(reason)
}
