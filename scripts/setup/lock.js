// Lock file against concurrent setups. It is removed at exit and expires after a crash.

import { closeSync, mkdirSync, openSync, readFileSync, rmSync, statSync, utimesSync, writeSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { setTimeout as pause } from 'node:timers/promises'

const REFRESH_MS = 1000
// The holder updates the file's time while it works; an older file was left by a crash.
const STALE_MS = 20000
const POLL_MS = 100

function acquire(file) {
  try {
    const fd = openSync(file, 'wx')
    writeSync(fd, String(process.pid))
    closeSync(fd)
    return true
  } catch (error) {
    if (error.code === 'EEXIST') return false
    throw error
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code !== 'ESRCH'
  }
}

function isStale(file) {
  const stat = statSync(file, { throwIfNoEntry: false })
  if (stat === undefined) return false
  if (Date.now() - stat.mtimeMs > STALE_MS) return true
  try {
    const pid = Number(readFileSync(file, 'utf8'))
    return pid > 0 && !isAlive(pid)
  } catch (error) {
    if (error.code === 'ENOENT') return false
    throw error
  }
}

// Only one of two processes that find the same stale lock may clear it. Otherwise the second would clear the new lock
// of the first.
function clearStale(file) {
  if (!isStale(file)) return false
  const clearing = `${file}.clearing`
  if (!acquire(clearing)) {
    if (isStale(clearing)) rmSync(clearing, { force: true })
    return false
  }
  try {
    if (isStale(file)) rmSync(file, { force: true })
  } finally {
    rmSync(clearing, { force: true })
  }
  return true
}

/** Runs `work` while holding the lock `file`. Calls `onWait` once if another process holds it. */
export async function withLock(file, onWait, work) {
  mkdirSync(path.dirname(file), { recursive: true })
  for (let waited = false; !acquire(file);) {
    if (clearStale(file)) continue
    if (!waited) onWait()
    waited = true
    await pause(POLL_MS)
  }
  const release = () => rmSync(file, { force: true })
  process.once('exit', release)
  const refresh = setInterval(() => {
    const now = new Date()
    try {
      utimesSync(file, now, now)
    } catch (error) {
      if (error.code !== 'ENOENT') throw error
    }
  }, REFRESH_MS)
  try {
    return await work()
  } finally {
    clearInterval(refresh)
    process.off('exit', release)
    release()
  }
}
