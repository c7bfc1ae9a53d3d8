// Runs the tests and ends with one line that says how many passed, failed and were skipped.

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
/** Left out by .taprc. */
const UNUSED_PLUGINS = ["'@tapjs/typescript'", "'@tapjs/mock'"]

/** The system programs that the tests use: installed where that was asked for, else named. */
function checkPrograms() {
  const required = process.env.ARTEMIS_REQUIRE_ALL === '1'
  if (required && missingPrograms().length > 0) installPrograms(missingPrograms())
  const missing = missingPrograms()
  if (missing.length === 0) return 0
  for (const { program, purpose } of missing) process.stderr.write(`test: ${program} is missing (${purpose})\n`)
  process.stderr.write(`test: on Debian: apt-get install ${packagesOf(missing).join(' ')}\n`)
  return required ? missing.length : 0
}

/** tap builds its set of plug-ins into its own folder; done in the first run itself, that run still has the old set. */
function buildPlugins() {
  const built = path.join(root, 'node_modules/@tapjs/test/test-built/dist/esm/index.js')
  const has = existsSync(built) ? readFileSync(built, 'utf8') : UNUSED_PLUGINS.join()
  if (!UNUSED_PLUGINS.some(plugin => has.includes(plugin))) return
  spawnSync(process.execPath, [tap, 'build'], { cwd: root, stdio: ['ignore', 'ignore', 2] })
}

/** Feeds what is appended to a file to `write`, as long as the process lives. */
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

/** The test files that a run is to tell of: those named, or all. */
function wantedFiles() {
  const isTest = file => file.endsWith('.test.js')
  const named = process.argv.slice(2).filter(isTest)
  if (process.argv.length > 2) return named
  return readdirSync(path.join(root, 'dist/test'), { recursive: true })
    .filter(isTest)
    .map(file => `dist/test/${file}`)
}

/** One line for each file that ended, and what failed in it, where tap itself draws none. */
function announce(result, counts) {
  if (process.stdout.isTTY || counts === undefined) return
  const time = result.time === null ? '' : `, ${(result.time / 1000).toFixed(1)} s`
  const numbers = `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`
  process.stdout.write(`${result.ok ? 'ok' : 'FAILED'} ${result.name} (${numbers}${time})\n`)
  for (const failure of counts.failures) process.stdout.write(`  ${failure}\n`)
}

/** Runs tap, which draws what it does on a terminal and writes TAP to `output`; elsewhere its TAP goes to `write`. */
function runTap(output, write) {
  const isShown = process.stdout.isTTY
  const args = [tap, 'run', isShown ? `--output-file=${output}` : '--reporter=tap', ...process.argv.slice(2)]
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      cwd: root,
      stdio: ['inherit', isShown ? 'inherit' : 'pipe', 'inherit']
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
  const unheard = new Set(wantedFiles())
  const { parser, counts } = startTally((result, fileCounts) => {
    unheard.delete(result.name)
    announce(result, fileCounts)
  })
  const write = chunk => parser.write(chunk)
  const stop = follow(path.join(folder, 'all.tap'), write)
  const code = await runTap(path.join(folder, 'all.tap'), write)
  stop()
  parser.end()
  // Where the last files hang, tap drops the results of others that ended before them.
  for (const file of unheard)
    process.stdout.write(`FAILED ${file} (0 passed, 1 failed, 0 skipped, nothing was heard of it)\n`)
  counts.failed += unheard.size
  for (const reason of counts.reasons) process.stdout.write(`skipped: ${reason}\n`)
  // What tap holds against the run must show in the numbers too.
  if (code !== 0 && counts.failed === 0) counts.failed = 1
  const failed = counts.failed + missing
  process.stdout.write(`${counts.passed} passed, ${failed} failed, ${counts.skipped} skipped\n`)
  process.exitCode = code === 0 && failed > 0 ? 1 : code
} finally {
  rmSync(folder, { recursive: true, force: true })
}
