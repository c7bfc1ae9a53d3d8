// Prepares a clone: installs the dependencies and compiles, each only if something has changed.

import { spawn } from 'node:child_process'
import path from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { isInstalled, isLinked, rememberInstall } from './setup/dependencies.js'
import { isBuilt, prepareBuild, rememberBuild, sourcesOf } from './setup/build.js'
import { withLock } from './setup/lock.js'

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..')

/** A failed command, with the exit code of this script. */
class CommandFailed extends Error {
  constructor(what, cause, exitCode) {
    super(`${what} failed: ${cause}`)
    this.exitCode = exitCode
  }
}

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 }
let child
let interrupted

for (const [signal, exitCode] of Object.entries(SIGNALS)) {
  process.on(signal, () => {
    interrupted = signal
    if (child === undefined) process.exit(exitCode)
    child.kill(signal)
  })
}

/** Runs a command. Its standard output goes to standard error, to keep standard output for the program itself. */
function run(what, command, args) {
  return new Promise((resolve, reject) => {
    child = spawn(command, args, { cwd: root, stdio: ['ignore', 2, 2], shell: process.platform === 'win32' })
    child.once('error', reject)
    child.once('close', (code, signal) => {
      child = undefined
      const fatalSignal = interrupted ?? signal
      if (fatalSignal !== null) reject(new CommandFailed(what, fatalSignal, SIGNALS[fatalSignal] ?? 1))
      else if (code !== 0) reject(new CommandFailed(what, `exit code ${code}`, 1))
      else resolve()
    })
  })
}

function log(text) {
  process.stderr.write(`setup: ${text}\n`)
}

async function install() {
  if (isInstalled(root)) return
  if (isLinked(root)) {
    log('node_modules is a symbolic link and does not match package-lock.json; not changed')
    return
  }
  log('installing dependencies (npm ci); the first time takes a minute')
  const args = ['ci', '--include=dev', '--no-progress']
  const npm = process.env.npm_execpath ?? ''
  // Use the npm that called this script, which may not be the first one on PATH.
  if (path.basename(npm) === 'npm-cli.js') await run('npm ci', process.execPath, [npm, ...args])
  else await run('npm ci', 'npm', args)
  rememberInstall(root)
}

async function build() {
  const sources = sourcesOf(root)
  if (isBuilt(root, sources)) return
  log('compiling')
  const startedAt = performance.now()
  prepareBuild(root, sources)
  const pretty = String(process.stderr.isTTY === true)
  await run('the compiler', process.execPath, ['node_modules/typescript/bin/tsc', '-p', '.', '--pretty', pretty])
  rememberBuild(root, sources)
  log(`compiled in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`)
}

try {
  const ready = (isInstalled(root) || isLinked(root)) && isBuilt(root, sourcesOf(root))
  // No lock in the common case that there is nothing to do.
  if (!ready) {
    await withLock(
      path.join(root, 'dist/.setup-lock'),
      () => log('waiting for another setup to finish'),
      async () => {
        await install()
        await build()
      }
    )
  }
} catch (error) {
  log(error instanceof CommandFailed ? error.message : error.stack)
  process.exitCode = error.exitCode ?? 1
}
