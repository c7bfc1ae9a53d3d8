// How much an installation takes on the disk: the package and what it needs, without development and optional packages.

import { readdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'

interface Lock {
  packages: Record<string, { dev?: boolean; optional?: boolean; devOptional?: boolean }>
}

/** Megabytes (10^6 bytes) in blocks of the disk, as `du` counts them. */
export interface InstallSize {
  packages: number
  dependenciesMb: number
  ownMb: number
  totalMb: number
}

/**
 * Adds up the packages that the lock file names for `npm install --omit=dev --omit=optional`, and our own compiled
 * files.
 */
export function installSize(root: string): InstallSize {
  const { packages } = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8')) as Lock
  const needed = Object.entries(packages).filter(
    ([name, { dev, optional, devOptional }]) => name !== '' && dev !== true && optional !== true && devOptional !== true
  )
  const dependenciesMb = needed.reduce((sum, [name]) => sum + sizeOf(path.join(root, name), () => true), 0)
  // As in "files" of package.json: the maps stay behind.
  const ownMb = ['broker', 'src', 'models'].reduce(
    (sum, folder) => sum + sizeOf(path.join(root, 'dist', folder), name => !name.endsWith('.map')),
    0
  )
  return { packages: needed.length, dependenciesMb, ownMb, totalMb: dependenciesMb + ownMb }
}

/** A folder without the packages that lie inside it: the lock file names these themselves. */
function sizeOf(folder: string, counts: (name: string) => boolean): number {
  let size = 0
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.name === 'node_modules') continue
    const file = path.join(folder, entry.name)
    if (entry.isDirectory()) size += sizeOf(file, counts)
    else if (entry.isFile() && counts(entry.name)) size += (statSync(file).blocks * 512) / 1e6
  }
  return size
}
