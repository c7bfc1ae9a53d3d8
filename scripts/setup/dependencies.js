// Whether node_modules holds what package-lock.json asks for.

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

function fitsMachine(entry) {
  return allows(entry.os, process.platform) && allows(entry.cpu, process.arch)
}

/**
 * Compares by content, not by time: a fresh checkout makes an old lock file look new. A missing
 * optional package counts once only, since it may be one that this machine cannot have. Where none is
 * there, somebody left them out: `npm ci --omit=optional`.
 */
export function isInstalled(root) {
  const wantedText = read(path.join(root, 'package-lock.json'))
  const presentText = read(path.join(root, 'node_modules/.package-lock.json'))
  if (wantedText === undefined || presentText === undefined) return false
  const wanted = JSON.parse(wantedText).packages
  const present = JSON.parse(presentText).packages
  let optionalDiffers = false
  let hasOptional = false
  for (const [place, entry] of Object.entries(wanted)) {
    if (place === '') continue
    if (present[place]?.version === entry.version) {
      if (entry.optional === true) hasOptional = true
      continue
    }
    if (entry.optional !== true && entry.devOptional !== true) return false
    if (fitsMachine(entry)) optionalDiffers = true
  }
  return !optionalDiffers || !hasOptional || read(path.join(root, STAMP)) === digest(wantedText)
}

/** Whether node_modules is a link to somebody else's install, where nothing may be written. */
export function isLinked(root) {
  return lstatSync(path.join(root, 'node_modules'), { throwIfNoEntry: false })?.isSymbolicLink() ?? false
}

/** Notes what was installed, so that optional packages that could not be are not tried again each time. */
export function rememberInstall(root) {
  writeFileSync(path.join(root, STAMP), digest(readFileSync(path.join(root, 'package-lock.json'), 'utf8')))
}
