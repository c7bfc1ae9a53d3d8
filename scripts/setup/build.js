// Checks whether dist is up to date, and removes stale output.

import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'

const STAMP = 'dist/.built.json'
const OUTPUT = /\.(?:d\.ts|js)(?:\.map)?$/

function filesBelow(root, folder) {
  const found = []
  if (!existsSync(path.join(root, folder))) return found
  for (const entry of readdirSync(path.join(root, folder), { withFileTypes: true })) {
    const file = `${folder}/${entry.name}`
    if (entry.isDirectory()) found.push(...filesBelow(root, file))
    else found.push(file)
  }
  return found
}

function folders(root) {
  return JSON.parse(readFileSync(path.join(root, 'tsconfig.json'), 'utf8')).include
}

function timeAndSize(root, file) {
  const { mtimeMs, size } = statSync(path.join(root, file))
  return `${mtimeMs} ${size}`
}

/** Returns every source and configuration file of the compiler with its time and size, and the Node.js version. */
export function sourcesOf(root) {
  const sources = { node: process.version }
  const config = ['tsconfig.json', 'package.json', 'node_modules/typescript/package.json']
  for (const file of config.filter(file => existsSync(path.join(root, file)))) sources[file] = timeAndSize(root, file)
  for (const folder of folders(root)) {
    for (const file of filesBelow(root, folder)) {
      if (file.endsWith('.ts')) sources[file] = timeAndSize(root, file)
    }
  }
  return sources
}

function outputOf(file) {
  return file.endsWith('.ts') && !file.endsWith('.d.ts') ? `dist/${file.slice(0, -3)}.js` : undefined
}

function outputsOf(root, sources) {
  return Object.keys(sources)
    .filter(file => file.includes('/'))
    .map(outputOf)
    .filter(file => file !== undefined)
}

/** Whether the last build used exactly these sources and its output is complete. */
export function isBuilt(root, sources) {
  const stamp = path.join(root, STAMP)
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== JSON.stringify(sources)) return false
  return outputsOf(root, sources).every(file => existsSync(path.join(root, file)))
}

/**
 * Removes output without a source. If output is missing, also removes the compiler's incremental state, because the
 * compiler would not write that output again.
 */
export function prepareBuild(root, sources) {
  mkdirSync(path.join(root, 'dist'), { recursive: true })
  const wanted = new Set(outputsOf(root, sources).map(file => file.slice(0, -3)))
  rmSync(path.join(root, STAMP), { force: true })
  for (const folder of folders(root).map(folder => `dist/${folder}`)) {
    for (const file of filesBelow(root, folder)) {
      if (OUTPUT.test(file) && !wanted.has(file.replace(OUTPUT, ''))) rmSync(path.join(root, file), { force: true })
    }
  }
  if (!outputsOf(root, sources).every(file => existsSync(path.join(root, file)))) {
    rmSync(path.join(root, 'dist/.tsbuildinfo'), { force: true })
  }
}

/** Records what was built. Written to a temporary file and renamed, so that no process reads a partial file. */
export function rememberBuild(root, sources) {
  const stamp = path.join(root, STAMP)
  writeFileSync(`${stamp}.${process.pid}`, JSON.stringify(sources))
  renameSync(`${stamp}.${process.pid}`, stamp)
}
