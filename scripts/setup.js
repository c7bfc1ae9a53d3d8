// Makes a clone ready to run: installs the dependencies and compiles, each only where something changed.

import { spawn } from 'node:child_process'
import path from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { isInstalled, isLinked, rememberInstall } from './setup/dependencies.js'
import { isBuilt, prepareBuild, rememberBuild, sourcesOf } from './setup/build.js'
import { withLock } from './setup/lock.js'

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..')

/** A command that did not end well, and the exit code that says so. */
class CommandFailed extends Error {
  constructor(what, ending, exitCode) {
    super(`${what} ended with ${ending}`)
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

/** Runs a command; its standard output goes to standard error, so that ours stays what was asked for. */
function run(what, command, args) {
  return new Promise((resolve, reject) => {
    child = spawn(command, args, { cwd: root, stdio: ['ignore', 2, 2], shell: process.platform === 'win32' })
    child.once('error', reject)
    child.once('close', (code, signal) => {
      child = undefined
      const died = interrupted ?? signal
      if (died !== null) reject(new CommandFailed(what, died, SIGNALS[died] ?? 1))
      else if (code !== 0) reject(new CommandFailed(what, `exit code ${code}`, 1))
      else resolve()
    })
  })
}

function say(text) {
  process.stderr.write(`setup: ${text}\n`)
}

async function install() {
  if (isInstalled(root)) return
  if (isLinked(root)) {
    say('node_modules is a link and does not match package-lock.json; it is left as it is')
    return
  }
  say('installing dependencies (npm ci); the first time takes a minute')
  const args = ['ci', '--include=dev', '--no-progress']
  const npm = process.env.npm_execpath ?? ''
  // The npm that called us, not another one that the search path may hold.
  if (path.basename(npm) === 'npm-cli.js') await run('npm ci', process.execPath, [npm, ...args])
  else await run('npm ci', 'npm', args)
  rememberInstall(root)
}

async function build() {
  const sources = sourcesOf(root)
  if (isBuilt(root, sources)) return
  say('compiling')
  const began = performance.now()
  prepareBuild(root, sources)
  const pretty = String(process.stderr.isTTY === true)
  await run('the compiler', process.execPath, ['node_modules/typescript/bin/tsc', '-p', '.', '--pretty', pretty])
  rememberBuild(root, sources)
  say(`compiled in ${((performance.now() - began) / 1000).toFixed(1)} s`)
}

try {
  const ready = (isInstalled(root) || isLinked(root)) && isBuilt(root, sourcesOf(root))
  // The common case takes no lock: nothing to do.
  if (!ready) {
    await withLock(
      path.join(root, 'dist/.setup-lock'),
      () => say('waiting for another setup to finish'),
      async () => {
        await install()
        await build()
      }
    )
  }
} catch (error) {
  say(error instanceof CommandFailed ? error.message : error.stack)
  process.exitCode = error.exitCode ?? 1
}
