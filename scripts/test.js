// Runs the tests. The last line of output is the number of passed, failed and skipped tests.

import { spawn, spawnSync } from 'node:child_process'
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, readSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { missingPrograms, packagesOf } from './system-programs.js'
import { installPrograms } from './test/install.js'
import { startTally } from './test/tally.js'

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..')
const tap = path.join(root, 'node_modules/tap/dist/esm/run.mjs')
const POLL_MS = 200
/** Disabled in .taprc. */
const UNUSED_PLUGINS = ["'@tapjs/typescript'", "'@tapjs/mock'"]

/** Installs missing system programs if ARTEMIS_REQUIRE_ALL=1, and reports those still missing. */
function checkPrograms() {
  const required = process.env.ARTEMIS_REQUIRE_ALL === '1'
  if (required && missingPrograms().length > 0) installPrograms(missingPrograms())
  const missing = missingPrograms()
  if (missing.length === 0) return 0
  for (const { program, purpose } of missing) process.stderr.write(`test: ${program} is missing (${purpose})\n`)
  process.stderr.write(`test: on Debian: apt-get install ${packagesOf(missing).join(' ')}\n`)
  return required ? missing.length : 0
}

/** Builds tap's plug-ins into its own folder. Done before the first run, which would otherwise use the old plug-ins. */
function buildPlugins() {
  const built = path.join(root, 'node_modules/@tapjs/test/test-built/dist/esm/index.js')
  const code = existsSync(built) ? readFileSync(built, 'utf8') : UNUSED_PLUGINS.join()
  if (!UNUSED_PLUGINS.some(plugin => code.includes(plugin))) return
  spawnSync(process.execPath, [tap, 'build'], { cwd: root, stdio: ['ignore', 'ignore', 2] })
}

/** Passes data appended to a file to `write` until the returned function is called. */
function follow(file, write) {
  const buffer = Buffer.alloc(65536)
  let fd
  const read = () => {
    if (fd === undefined && existsSync(file)) fd = openSync(file, 'r')
    if (fd === undefined) return
    for (let length; (length = readSync(fd, buffer)) > 0;) write(Buffer.from(buffer.subarray(0, length)))
  }
  const timer = setInterval(read, POLL_MS)
  return () => {
    clearInterval(timer)
    read()
    if (fd !== undefined) closeSync(fd)
  }
}

/** Returns the test files that must have a result: those given as arguments, or all. */
function expectedFiles() {
  const isTest = file => file.endsWith('.test.js')
  if (process.argv.length > 2) return process.argv.slice(2).filter(isTest)
  return readdirSync(path.join(root, 'dist/test'), { recursive: true })
    .filter(isTest)
    .map(file => `dist/test/${file}`)
}

/** Prints a line per finished file, with its failures. On a terminal, tap shows them itself. */
function announce(result, counts) {
  if (process.stdout.isTTY || counts === undefined) return
  const time = result.time === null ? '' : `, ${(result.time / 1000).toFixed(1)} s`
  const numbers = `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`
  process.stdout.write(`${result.ok ? 'ok' : 'FAILED'} ${result.name} (${numbers}${time})\n`)
  for (const failure of counts.failures) process.stdout.write(`  ${failure}\n`)
}

/** Runs tap. On a terminal it shows its progress and writes TAP to `output`; otherwise its TAP is passed to `write`. */
function runTap(output, write) {
  const isTerminal = process.stdout.isTTY
  const args = [tap, 'run', isTerminal ? `--output-file=${output}` : '--reporter=tap', ...process.argv.slice(2)]
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      cwd: root,
      stdio: ['inherit', isTerminal ? 'inherit' : 'pipe', 'inherit']
    })
    child.stdout?.on('data', write)
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
    child.once('error', reject)
    child.once('close', code => resolve(code ?? 1))
  })
}

const missing = checkPrograms()
buildPlugins()
const folder = mkdtempSync(path.join(os.tmpdir(), 'artemis-test-'))
try {
  const withoutResult = new Set(expectedFiles())
  const { parser, counts } = startTally((result, fileCounts) => {
    withoutResult.delete(result.name)
    announce(result, fileCounts)
  })
  const write = chunk => parser.write(chunk)
  const stop = follow(path.join(folder, 'all.tap'), write)
  const code = await runTap(path.join(folder, 'all.tap'), write)
  stop()
  parser.end()
  // If the last files hang, tap drops the results of files that finished before them.
  for (const file of withoutResult) process.stdout.write(`FAILED ${file} (0 passed, 1 failed, 0 skipped, no result)\n`)
  counts.failed += withoutResult.size
  for (const reason of counts.reasons) process.stdout.write(`skipped: ${reason}\n`)
  // A failure that tap reports only by its exit code must be counted too.
  if (code !== 0 && counts.failed === 0) counts.failed = 1
  const failed = counts.failed + missing
  process.stdout.write(`${counts.passed} passed, ${failed} failed, ${counts.skipped} skipped\n`)
  process.exitCode = code === 0 && failed > 0 ? 1 : code
} finally {
  rmSync(folder, { recursive: true, force: true })
}
