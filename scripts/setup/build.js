// Whether dist holds what the sources say, and the clearing of what they no longer say.

import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'

const STAMP = 'dist/.built.json'
const OUTPUT = /\.(?:d\.ts|js)(?:\.map)?$/

function filesBelow(root, folder) {
  const found = []
  if (!existsSync(path.join(root, folder))) return found
  for (const entry of readdirSync(path.join(root, folder), { withFileTypes: true })) {
    const place = `${folder}/${entry.name}`
    if (entry.isDirectory()) found.push(...filesBelow(root, place))
    else found.push(place)
  }
  return found
}

function folders(root) {
  return JSON.parse(readFileSync(path.join(root, 'tsconfig.json'), 'utf8')).include
}

function age(root, place) {
  const { mtimeMs, size } = statSync(path.join(root, place))
  return `${mtimeMs} ${size}`
}

/** Every file that the compiler reads of ours, with its time and size, and what decides how it reads them. */
export function sourcesOf(root) {
  const sources = { node: process.version }
  const config = ['tsconfig.json', 'package.json', 'node_modules/typescript/package.json']
  for (const place of config.filter(place => existsSync(path.join(root, place)))) sources[place] = age(root, place)
  for (const folder of folders(root)) {
    for (const place of filesBelow(root, folder)) {
      if (place.endsWith('.ts')) sources[place] = age(root, place)
    }
  }
  return sources
}

function outputOf(place) {
  return place.endsWith('.ts') && !place.endsWith('.d.ts') ? `dist/${place.slice(0, -3)}.js` : undefined
}

function outputsOf(root, sources) {
  return Object.keys(sources)
    .filter(place => place.includes('/'))
    .map(outputOf)
    .filter(place => place !== undefined)
}

/** Whether the last build was made of exactly these sources and is still all there. */
export function isBuilt(root, sources) {
  const stamp = path.join(root, STAMP)
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== JSON.stringify(sources)) return false
  return outputsOf(root, sources).every(place => existsSync(path.join(root, place)))
}

/**
 * Removes outputs whose source is gone; and the compiler's memory if an output is gone, which it would not write again.
 */
export function prepareBuild(root, sources) {
  mkdirSync(path.join(root, 'dist'), { recursive: true })
  const wanted = new Set(outputsOf(root, sources).map(place => place.slice(0, -3)))
  rmSync(path.join(root, STAMP), { force: true })
  for (const folder of folders(root).map(folder => `dist/${folder}`)) {
    for (const place of filesBelow(root, folder)) {
      if (OUTPUT.test(place) && !wanted.has(place.replace(OUTPUT, ''))) rmSync(path.join(root, place), { force: true })
    }
  }
  if (!outputsOf(root, sources).every(place => existsSync(path.join(root, place)))) {
    rmSync(path.join(root, 'dist/.tsbuildinfo'), { force: true })
  }
}

/** Notes what was built; written beside and moved into place, so that nobody reads half of it. */
export function rememberBuild(root, sources) {
  const stamp = path.join(root, STAMP)
  writeFileSync(`${stamp}.${process.pid}`, JSON.stringify(sources))
  renameSync(`${stamp}.${process.pid}`, stamp)
}
