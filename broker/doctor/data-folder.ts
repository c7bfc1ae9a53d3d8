// Checks the data folder: that it can be written to, that its disk has room, and that the clock is not behind its
// files.

import { constants } from 'node:fs'
import { access, readdir, stat, statfs } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { MAX_PATH_LENGTH, printable } from '../terminal/printable.js'
import { note, ok, problem, type Finding, type CheckContext } from './finding.js'

/** Below this the broker will soon be unable to store anything. */
const FULL_BYTES = 50 * 2 ** 20
const SCARCE_BYTES = 500 * 2 ** 20
/** File systems and network shares round, and their clocks differ a little. */
const CLOCK_TOLERANCE_MS = 120_000
/** No release of this program is older. */
const FIRST_YEAR = 2025

/** The data folder, or where it will be made. */
export async function checkDataFolder({ effective }: CheckContext): Promise<Finding[]> {
  if (effective === undefined) return []
  const { data } = effective.settings
  const name = printable(data, MAX_PATH_LENGTH)
  const existing = await nearestExisting(data)
  const isMade = existing === data
  try {
    if (!(await stat(existing)).isDirectory())
      return [
        problem(`The data folder ${name} is a file, or below one.`, 'Name a folder: --data, or data in the settings.')
      ]
    await access(existing, constants.W_OK | constants.X_OK)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const why =
      code === 'EROFS'
        ? 'is on a read-only file system'
        : `${isMade ? 'may not be written to' : 'cannot be made'} by this user`
    return [
      problem(
        `The data folder ${name} ${why}.`,
        code === 'EROFS'
          ? 'Name one elsewhere: --data; a failing SD card is made read-only too: look into "dmesg".'
          : 'Name one that this user may write to (--data), or change its owner.'
      )
    ]
  }
  return [ok(`The data folder ${name} ${isMade ? 'can be written to' : 'can be made'}.`), await roomIn(existing, name)]
}

async function roomIn(folder: string, name: string): Promise<Finding> {
  const { bavail, bsize } = await statfs(folder)
  const free = bavail * bsize
  const words = `${Math.floor(free / 2 ** 20)} MiB are free where the data folder ${name} is.`
  if (free < FULL_BYTES)
    return problem(`Only ${words}`, 'Make room: without it retained messages, sessions and models cannot be kept.')
  return free < SCARCE_BYTES ? note(`Only ${words}`, 'Make room before it is used up.') : ok(words)
}

/** A Raspberry Pi has no clock of its own: before it hears of the time, it believes that it is long ago. */
export async function checkClock({ effective, now }: CheckContext): Promise<Finding[]> {
  const date = new Date(now).toISOString().slice(0, 16).replace('T', ' ')
  const remedy =
    'Set it: "timedatectl set-ntp true" where there is a network. Until it is right, certificates seem invalid and alerts carry wrong times.'
  if (new Date(now).getUTCFullYear() < FIRST_YEAR)
    return [problem(`The clock says ${date} UTC: that is wrong.`, remedy)]
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
        `The clock says ${date} UTC, but there are files from ${new Date(newest).toISOString().slice(0, 16).replace('T', ' ')} UTC.`,
        remedy
      )
    ]
  }
  return [ok(`The clock says ${date} UTC.`)]
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
