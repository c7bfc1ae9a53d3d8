// Measures the disk space of an installation: the package and its dependencies, without development and optional
// packages.

import { readdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'

interface Lock {
  packages: Record<string, { dev?: boolean; optional?: boolean; devOptional?: boolean }>
}

/** Sizes in megabytes (10^6 bytes) of disk blocks, as `du` counts them. */
export interface InstallSize {
  packages: number
  dependenciesMb: number
  ownMb: number
  totalMb: number
}

/**
 * Adds up the packages that `npm install --omit=dev --omit=optional` installs according to the lock file, and the
 * compiled files.
 */
export function installSize(root: string): InstallSize {
  const { packages } = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8')) as Lock
  const needed = Object.entries(packages).filter(
    ([name, { dev, optional, devOptional }]) => name !== '' && dev !== true && optional !== true && devOptional !== true
  )
  const dependenciesMb = needed.reduce((sum, [name]) => sum + sizeOf(path.join(root, name), () => true), 0)
  // As in "files" of package.json: source maps are excluded.
  const ownMb = ['broker', 'src', 'models'].reduce(
    (sum, folder) => sum + sizeOf(path.join(root, 'dist', folder), name => !name.endsWith('.map')),
    0
  )
  return { packages: needed.length, dependenciesMb, ownMb, totalMb: dependenciesMb + ownMb }
}

/** Returns the size of a folder without nested packages, which the lock file lists separately. */
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
