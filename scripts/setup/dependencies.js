// Checks whether node_modules matches package-lock.json.

import { createHash } from 'node:crypto'
import { lstatSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'

const STAMP = 'node_modules/.setup-lock-digest'

function read(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (error.code === 'ENOENT') return undefined
    throw error
  }
}

function digest(text) {
  return createHash('sha256').update(text).digest('hex')
}

function allows(list, value) {
  if (list === undefined) return true
  return list.includes(value) || (list.every(item => item.startsWith('!')) && !list.includes(`!${value}`))
}

function isSupported(entry) {
  return allows(entry.os, process.platform) && allows(entry.cpu, process.arch)
}

/**
 * Whether all dependencies are installed. Compares content and not times, because a fresh checkout makes an old lock
 * file look new. A missing optional package triggers only one installation, because this machine may not support it.
 * If all optional packages are missing, they were omitted on purpose: `npm ci --omit=optional`.
 */
export function isInstalled(root) {
  const wantedText = read(path.join(root, 'package-lock.json'))
  const presentText = read(path.join(root, 'node_modules/.package-lock.json'))
  if (wantedText === undefined || presentText === undefined) return false
  const wanted = JSON.parse(wantedText).packages
  const present = JSON.parse(presentText).packages
  let optionalDiffers = false
  let hasOptional = false
  for (const [folder, entry] of Object.entries(wanted)) {
    if (folder === '') continue
    if (present[folder]?.version === entry.version) {
      if (entry.optional === true) hasOptional = true
      continue
    }
    if (entry.optional !== true && entry.devOptional !== true) return false
    if (isSupported(entry)) optionalDiffers = true
  }
  return !optionalDiffers || !hasOptional || read(path.join(root, STAMP)) === digest(wantedText)
}

/** Whether node_modules is a symbolic link to a shared installation, which must not be changed. */
export function isLinked(root) {
  return lstatSync(path.join(root, 'node_modules'), { throwIfNoEntry: false })?.isSymbolicLink() ?? false
}

/** Records the installation, so that optional packages that failed to install are not retried each time. */
export function rememberInstall(root) {
  writeFileSync(path.join(root, STAMP), digest(readFileSync(path.join(root, 'package-lock.json'), 'utf8')))
}
