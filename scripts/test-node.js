// npm run test:node: runs a short form of the tests on other Node.js versions. Prints one line per version.

import { execFile, execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..')

/** Even versions have long-term support. The newest even version is added. */
const MAJORS = [22, 24]

/** The short form: what depends on Node.js itself, and takes about a minute. */
const FILES = [
  // Broker: processes, signals, listeners, passwords, streams.
  'broker/reload',
  'broker/auth/passwords',
  'broker/limits/logins',
  'broker/listeners/listeners',
  'broker/commands/extract',
  'broker/core/aedes-internals',
  'broker/core/wire',
  // Store: a native add-on.
  'broker/core/store',
  'broker/core/sessions',
  'broker/core/records',
  'broker/core/persistent-session',
  'broker/core/retained',
  // Join: sockets, TLS and WebSocket.
  'tap/local',
  'plugin/tls-join',
  'plugin/websocket-join',
  'respond/gate',
  // Worker thread and shared memory.
  'observe/ring-threads',
  'observe/whole-reads',
  'detection/detection',
  'plugin/detection-thread',
  'plugin/alerts',
  // WebAssembly kernels and detectors.
  'models/kernels',
  'models/isolation-forest',
  'scoring/every-detector'
].map(name => `dist/test/${name}.test.js`)

/** Returns the newest version of each major version, from the npm registry; undefined if it cannot be reached. */
function newestVersions() {
  try {
    const versions = JSON.parse(execFileSync('npm', ['view', 'node', 'versions', '--json'], { encoding: 'utf8' }))
    const newest = new Map()
    for (const version of versions.filter(text => /^\d+\.\d+\.\d+$/.test(text))) {
      const [major, minor, patch] = version.split('.').map(Number)
      const [, knownMinor, knownPatch] = newest.get(major)?.split('.').map(Number) ?? [major, -1, -1]
      if (minor > knownMinor || (minor === knownMinor && patch > knownPatch)) newest.set(major, version)
    }
    return newest
  } catch {
    return undefined
  }
}

/** Returns the versions to test: those of MAJORS, and the newest even one. */
function wantedVersions(newest) {
  const newestEven = Math.max(...[...newest.keys()].filter(major => major % 2 === 0))
  return [...new Set([...MAJORS, newestEven])].map(major => newest.get(major))
}

/** Installs a version into .cache, unless it is there. Returns the path of its program. */
function install(version) {
  const folder = path.join(root, '.cache', `node-${version.split('.')[0]}`)
  const program = path.join(folder, 'node_modules/node/bin/node')
  const present = existsSync(program) ? execFileSync(program, ['--version'], { encoding: 'utf8' }).trim() : ''
  if (present !== `v${version}`) {
    const args = ['install', '--prefix', folder, '--no-save', '--loglevel=error', `node@${version}`]
    execFileSync('npm', args, { cwd: root, stdio: ['ignore', 2, 2] })
  }
  return program
}

/** Runs the short form with a version of Node.js. Returns whether it passed. */
async function test(version) {
  const program = install(version)
  const startedAt = performance.now()
  const env = { ...process.env, PATH: `${path.dirname(program)}${path.delimiter}${process.env.PATH}` }
  const { error, stdout, stderr } = await new Promise(resolve => {
    const args = ['scripts/test.js', ...FILES]
    execFile(program, args, { cwd: root, env, maxBuffer: 2 ** 28 }, (error, stdout, stderr) => {
      resolve({ error, stdout, stderr })
    })
  })
  const seconds = Math.round((performance.now() - startedAt) / 1000)
  const lines = stdout.trimEnd().split('\n')
  const isComplete = /^\d+ passed, /.test(lines.at(-1))
  // A failed file is followed by its indented failures.
  if (!isComplete) process.stdout.write(stderr)
  else if (error !== null) process.stdout.write(`${lines.filter(line => /^(?:FAILED| )/.test(line)).join('\n')}\n`)
  const ending = isComplete ? lines.at(-1) : `no result, ended with ${error?.signal ?? error?.code ?? 0}`
  process.stdout.write(`Node ${version}: ${ending} (${seconds} s)\n`)
  return isComplete && error === null
}

const newest = newestVersions()
if (newest === undefined) {
  process.stdout.write('Node: not tested, the npm registry cannot be reached\n')
  process.exitCode = process.env.ARTEMIS_REQUIRE_ALL === '1' ? 1 : 0
} else {
  for (const version of wantedVersions(newest)) {
    if (!(await test(version))) process.exitCode = 1
  }
}
