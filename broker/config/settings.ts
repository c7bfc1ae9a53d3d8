// The settings in force: defaults, under what the file says, under what the flags say; and where each came from.

import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import * as v from 'valibot'
import { OperatorError } from '../../src/errors.js'
import { MAX_PATH_LENGTH, printable } from '../terminal/printable.js'
import { configError, displayed, type ConfigIssue } from './config-error.js'
import { THIS_HOST } from '../mosquitto/host-network.js'
import type { Note } from '../mosquitto/note.js'
import { translate, type Translation } from '../mosquitto/translation.js'
import { displayPath } from './display-path.js'
import { defaultOf, partOf, settingsSchema, type Settings } from './schema.js'
import { sharedPorts } from './shared-ports.js'
import { readYaml, expectedOf, type FileContents } from './yaml-file.js'

/** The file that is read when none is named and it is there. */
export const DEFAULT_FILE = 'artemis.yaml'

/** What the command line says; all as typed. */
export interface Flags {
  /** Settings file; without it `./artemis.yaml`, where there is one. */
  config?: string
  host?: string
  port?: string
  data?: string
  /** A mosquitto.conf; wins over `mosquitto` in the settings file. */
  mosquitto?: string
}

/** Settings and their sources. */
export interface EffectiveSettings {
  settings: Settings
  /** The file that was read. */
  file: string | undefined
  /** Every setting as it would be written in a file, paths absolute. */
  written: Record<string, unknown>
  /** `default`, `FILE:LINE` or `--FLAG`, by key path. */
  sources: Map<string, string>
  /** What in a mosquitto.conf does not do here what it does there. */
  notes: readonly Note[]
}

// Flags stand for the first listener: more than one is named in the file only.
const FLAG_KEYS = {
  host: 'listeners[0].host',
  port: 'listeners[0].port',
  data: 'data',
  mosquitto: 'mosquitto'
} as const

/**
 * Reads the settings in force.
 * @throws OperatorError `config` with all mistakes at once, `config-file` where the file cannot be read.
 */
export function readSettings(flags: Flags, folder: string = process.cwd()): EffectiveSettings {
  const file = findFile(flags.config, folder)
  const own = file === undefined ? emptyFile() : readYaml(readText(file), displayPath(file, folder))
  const given = flags.mosquitto ?? own.values.mosquitto
  const base = flags.mosquitto === undefined && file !== undefined ? path.dirname(file) : folder
  const mosquitto = typeof given === 'string' ? translate(absolute(given, base), folder, THIS_HOST) : undefined
  const layers = new Layers(own, mosquitto, flags, file, folder)
  const written = layers.merge(settingsSchema, layers.values, '') as Record<string, unknown>
  const ours = [...own.mistakes, ...layers.mistakes]
  const theirs = mosquitto?.mistakes ?? []
  if (ours.length > 0) throw configError([...ours, ...theirs])
  if (theirs.length > 0)
    throw configError(theirs, 'docs/mosquitto.md says what each directive of mosquitto.conf does here.')
  const { success, output, issues } = v.safeParse(settingsSchema, written)
  if (!success) throw configError(issues.map(issue => layers.mistakeOf(issue)))
  const shared = sharedPorts(output.listeners, key => layers.nearestPlaceOf(key))
  if (shared.length > 0) throw configError(shared)
  return { settings: output, file, written, sources: layers.sources, notes: mosquitto?.notes ?? [] }
}

class Layers {
  readonly mistakes: ConfigIssue[] = []
  readonly sources = new Map<string, string>()
  /** What the files say together. */
  readonly values: Readonly<Record<string, unknown>>
  readonly #own: FileContents
  readonly #mosquitto: Translation | undefined
  readonly #flags: Flags
  readonly #file: string | undefined
  readonly #folder: string

  constructor(
    own: FileContents,
    mosquitto: Translation | undefined,
    flags: Flags,
    file: string | undefined,
    folder: string
  ) {
    this.#own = own
    this.#mosquitto = mosquitto
    this.#flags = flags
    this.#file = file
    this.#folder = folder
    this.values = mosquitto === undefined ? own.values : over(own.values, mosquitto.values)
    const twice = mosquitto === undefined ? undefined : own.lines.get('listeners')
    if (twice !== undefined) {
      this.mistakes.push({
        place: this.placeOf('listeners') ?? '',
        key: 'listeners',
        problem: 'where to listen stands in mosquitto.conf as well; keep one of the two'
      })
    }
  }

  merge(schema: v.GenericSchema, given: unknown, key: string): unknown {
    const part = partOf(schema)
    if (part.kind === 'map') {
      if (part.isOptional && (given === undefined || given === null)) return this.#whole(key, null)
      const values = (given ?? {}) as Record<string, unknown>
      return Object.fromEntries(
        Object.entries(part.entries).map(([name, inner]) => [
          name,
          this.merge(inner, values[name], key === '' ? name : `${key}.${name}`)
        ])
      )
    }
    if (part.kind === 'list') {
      const items = (given ?? defaultOf(schema)) as unknown[]
      if (items.length === 0) return this.#whole(key, items)
      return items.map((item, index) => this.merge(part.item, item, `${key}[${index}]`))
    }
    const fromFlag = this.#flagFor(schema, key)
    const place = this.placeOf(key)
    const value = fromFlag?.value ?? (place === undefined && given === undefined ? part.fallback : given)
    const isFromFile = fromFlag === undefined && this.#own.lines.has(key)
    this.sources.set(key, fromFlag?.name ?? place ?? 'default')
    if (!part.isPath || typeof value !== 'string') return value
    return absolute(value, isFromFile ? path.dirname(this.#file ?? '') : this.#folder)
  }

  /** A map or a list that has nothing in it. */
  #whole(key: string, value: unknown): unknown {
    this.sources.set(key, this.placeOf(key) ?? 'default')
    return value
  }

  /** A mistake that only shows when all is put together: what is missing, and what does not go with another. */
  mistakeOf({ path, message }: v.BaseIssue<unknown>): ConfigIssue {
    const value = path?.at(-1)?.value
    const key = (path ?? []).reduce(
      (text, { key }) =>
        typeof key === 'number' ? `${text}[${key}]` : text === '' ? String(key) : `${text}.${String(key)}`,
      ''
    )
    return {
      place: this.nearestPlaceOf(key),
      key,
      problem: `${value === undefined ? 'missing, it' : displayed(value)} should be ${message}`
    }
  }

  /** `FILE:LINE` of a setting, or of what it would stand in. */
  nearestPlaceOf(key: string): string {
    let from = key
    while (from !== '' && this.placeOf(from) === undefined) from = from.replace(/(^|\.)[^.[\]]+$|\[\d+\]$/, '')
    return this.placeOf(from) ?? 'settings'
  }

  /** `FILE:LINE` of a setting, where a file has it. */
  placeOf(key: string): string | undefined {
    const line = this.#own.lines.get(key)
    return line === undefined || this.#file === undefined
      ? this.#placeInMosquitto(key)
      : `${displayPath(this.#file, this.#folder)}:${line}`
  }

  /** The items of a list stand where the list does. */
  #placeInMosquitto(key: string): string | undefined {
    const places = this.#mosquitto?.places
    return places?.get(key) ?? places?.get(key.replace(/\[\d+\]$/, ''))
  }

  #flagFor(schema: v.GenericSchema, key: string): { name: string; value: unknown } | undefined {
    for (const [flag, flagKey] of Object.entries(FLAG_KEYS) as [keyof typeof FLAG_KEYS, string][]) {
      const typed = this.#flags[flag]
      if (flagKey !== key || typed === undefined) continue
      const value = flag === 'port' && /^\d{1,10}$/.test(typed) ? Number(typed) : typed
      const right = expectedOf(schema, value)
      if (right !== undefined) {
        this.mistakes.push({ place: `--${flag}`, key: '', problem: `${displayed(value)} should be ${right}` })
      }
      return { name: `--${flag}`, value }
    }
    return undefined
  }
}

/** One map over another, part by part. */
function over(upper: Record<string, unknown>, lower: Record<string, unknown>): Record<string, unknown> {
  const isMap = (value: unknown): value is Record<string, unknown> =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
  const merged = { ...lower }
  for (const [name, value] of Object.entries(upper)) {
    const below = lower[name]
    if (value !== undefined) merged[name] = isMap(value) && isMap(below) ? over(value, below) : value
  }
  return merged
}

function absolute(value: string, folder: string): string {
  return value.startsWith('~/') ? path.join(homedir(), value.slice(2)) : path.resolve(folder, value)
}

function findFile(named: string | undefined, folder: string): string | undefined {
  if (named !== undefined) return path.resolve(folder, named)
  const usual = path.resolve(folder, DEFAULT_FILE)
  return existsSync(usual) ? usual : undefined
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw new OperatorError(
      'config-file',
      `The settings file ${printable(file, MAX_PATH_LENGTH)} cannot be read (${code}).`,
      'Check its name and permissions; artemis.example.yaml is one to start from.',
      { cause }
    )
  }
}

function emptyFile(): FileContents {
  return { values: {}, lines: new Map(), mistakes: [] }
}
