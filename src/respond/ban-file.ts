// Keeps the bans and the allow-list across restarts in one small file, replaced atomically.

import { readFileSync } from 'node:fs'
import { open, rename } from 'node:fs/promises'
import type { AllowList } from './allow-list.js'
import { isAllowEntry } from './allow-list.js'
import type { Ban, BanList } from './bans.js'

/** Minimum interval between writes, so that an attack from many addresses does not wear out an SD card. */
const WRITE_INTERVAL_MS = 1_000
/** Well above the maximum size of both lists. */
const MAX_FILE_LENGTH = 16 * 2 ** 20
const OWNER_ONLY = 0o600

interface Contents {
  bans: Ban[]
  allow: string[]
}

/** The file. Read once, and written after changes. */
export class BanFile {
  #due: NodeJS.Timeout | undefined
  #writing: Promise<void> = Promise.resolve()
  readonly #path: string
  readonly #bans: BanList
  readonly #allow: AllowList
  readonly #onError: (error: Error) => void

  /**
   * @param onError receives read and write errors
   */
  constructor(path: string, bans: BanList, allow: AllowList, onError: (error: Error) => void) {
    this.#path = path
    this.#bans = bans
    this.#allow = allow
    this.#onError = onError
  }

  /** Restores the lists of an earlier run. Reports a damaged file and then ignores it. */
  load(): void {
    try {
      const { bans, allow } = parse(readFileSync(this.#path, 'utf8'))
      for (const entry of allow) this.#allow.add(entry)
      this.#bans.restore(bans)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#onError(error as Error)
    }
  }

  /** Schedules a write after a change. */
  touch(): void {
    this.#due ??= setTimeout(() => {
      this.#write()
    }, WRITE_INTERVAL_MS).unref()
  }

  /** Writes pending changes. Resolves when they are on disk or the write failed. */
  async flush(): Promise<void> {
    if (this.#due !== undefined) this.#write()
    await this.#writing
  }

  #write(): void {
    clearTimeout(this.#due)
    this.#due = undefined
    this.#writing = this.#writing
      .then(async () => {
        const contents: Contents = {
          bans: this.#bans.list(),
          allow: this.#allow
            .list()
            .filter(({ from }) => from === 'command')
            .map(({ entry }) => entry)
        }
        await replaceFile(this.#path, JSON.stringify(contents))
      })
      .catch((error: unknown) => {
        this.#onError(error as Error)
      })
  }
}

async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.new`
  const file = await open(temporary, 'w', OWNER_ONLY)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
}

function parse(text: string): Contents {
  if (text.length > MAX_FILE_LENGTH) throw new Error('the file is too large')
  const { bans, allow } = JSON.parse(text) as Partial<Record<keyof Contents, unknown>>
  if (!Array.isArray(bans) || !Array.isArray(allow) || !bans.every(isBan) || !allow.every(isText))
    throw new Error('the file does not contain bans and an allow-list')
  return { bans, allow: allow.filter(isAllowEntry) }
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function isBan(value: unknown): value is Ban {
  if (typeof value !== 'object' || value === null) return false
  const { address, clientId, since, until, by } = value as Partial<Record<keyof Ban, unknown>>
  const hasTarget =
    [address, clientId].every(part => part === null || isText(part)) && (isText(address) || isText(clientId))
  return hasTarget && Number.isFinite(since) && Number.isFinite(until) && (by === 'alert' || by === 'operator')
}
