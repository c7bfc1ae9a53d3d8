// Checks that the data folder is writable, that its disk has free space, and that the clock is not behind its
// files.

import { constants } from 'node:fs'
import { access, readdir, stat, statfs } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { MAX_PATH_LENGTH, printable } from '../terminal/printable.js'
import { note, ok, problem, type Finding, type CheckContext } from './finding.js'

/** Below this the broker will soon fail to store data. */
const CRITICAL_BYTES = 50 * 2 ** 20
const LOW_BYTES = 500 * 2 ** 20
/** File systems round times, and the clocks of network shares differ slightly. */
const CLOCK_TOLERANCE_MS = 120_000
/** The year of the first release. */
const FIRST_YEAR = 2025

/** Checks the data folder, or the folder where it will be created. */
export async function checkDataFolder({ effective }: CheckContext): Promise<Finding[]> {
  if (effective === undefined) return []
  const { data } = effective.settings
  const name = printable(data, MAX_PATH_LENGTH)
  const existing = await nearestExisting(data)
  const exists = existing === data
  try {
    if (!(await stat(existing)).isDirectory())
      return [
        problem(
          `The data folder ${name} is a file, or below one.`,
          'Set a folder with --data, or with data in the settings.'
        )
      ]
    await access(existing, constants.W_OK | constants.X_OK)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const why =
      code === 'EROFS'
        ? 'is on a read-only file system'
        : `${exists ? 'is not writable' : 'cannot be created'} by this user`
    return [
      problem(
        `The data folder ${name} ${why}.`,
        code === 'EROFS'
          ? 'Set another folder with --data. A failing SD card also becomes read-only: check "dmesg".'
          : 'Set a folder that this user may write to (--data), or change its owner.'
      )
    ]
  }
  return [
    ok(`The data folder ${name} ${exists ? 'is writable' : 'can be created'}.`),
    await checkFreeSpace(existing, name)
  ]
}

async function checkFreeSpace(folder: string, name: string): Promise<Finding> {
  const { bavail, bsize } = await statfs(folder)
  const free = bavail * bsize
  const message = `${Math.floor(free / 2 ** 20)} MiB free on the disk of the data folder ${name}.`
  if (free < CRITICAL_BYTES)
    return problem(
      `Only ${message}`,
      'Free disk space: retained messages, sessions and models cannot be stored otherwise.'
    )
  return free < LOW_BYTES ? note(`Only ${message}`, 'Free disk space before the disk is full.') : ok(message)
}

/** Checks the clock. A Raspberry Pi has no hardware clock: until it is synchronised, its time is in the past. */
export async function checkClock({ effective, now }: CheckContext): Promise<Finding[]> {
  const date = new Date(now).toISOString().slice(0, 16).replace('T', ' ')
  const remedy =
    'Set it, with "timedatectl set-ntp true" if there is a network. Until then, certificates seem invalid and alerts have wrong times.'
  if (new Date(now).getUTCFullYear() < FIRST_YEAR) return [problem(`The clock is wrong: ${date} UTC.`, remedy)]
  const files = [
    fileURLToPath(import.meta.url),
    ...(effective === undefined ? [] : await filesIn(effective.settings.data))
  ]
  const newest = Math.max(
    ...(await Promise.all(
      files.map(
        async file =>
          await stat(file).then(
            ({ mtimeMs }) => mtimeMs,
            () => 0
          )
      )
    ))
  )
  if (newest > now + CLOCK_TOLERANCE_MS) {
    return [
      problem(
        `The clock is wrong: ${date} UTC, but there are files from ${new Date(newest).toISOString().slice(0, 16).replace('T', ' ')} UTC.`,
        remedy
      )
    ]
  }
  return [ok(`The clock is ${date} UTC.`)]
}

async function filesIn(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => [])
  return names.map(name => path.join(folder, name))
}

async function nearestExisting(folder: string): Promise<string> {
  const exists = await stat(folder).then(
    () => true,
    (error: unknown) => (error as NodeJS.ErrnoException).code !== 'ENOENT'
  )
  return exists || path.dirname(folder) === folder ? folder : await nearestExisting(path.dirname(folder))
}
