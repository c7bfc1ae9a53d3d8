// The effective settings: command line over settings file over mosquitto.conf over defaults, with the source of each.

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

/** The settings file that is read by default, if it exists. */
export const DEFAULT_FILE = 'artemis.yaml'

/** Command line options, unparsed. */
export interface Flags {
  /** Settings file. @default `./artemis.yaml` if it exists */
  config?: string
  host?: string
  port?: string
  data?: string
  /** A mosquitto.conf; overrides `mosquitto` in the settings file. */
  mosquitto?: string
}

/** Settings and their sources. */
export interface EffectiveSettings {
  settings: Settings
  /** The file that was read. */
  file: string | undefined
  /** Every setting in the form of a settings file, paths absolute. */
  written: Record<string, unknown>
  /** `default`, `FILE:LINE` or `--FLAG`, by key path. */
  sources: Map<string, string>
  /** Directives of mosquitto.conf that Artemis does not follow as mosquitto does. */
  notes: readonly Note[]
}

// The options set the first listener; further listeners need a settings file.
const FLAG_KEYS = {
  host: 'listeners[0].host',
  port: 'listeners[0].port',
  data: 'data',
  mosquitto: 'mosquitto'
} as const

/**
 * Reads the effective settings.
 * @throws OperatorError `config` with all issues at once, `config-file` if the file cannot be read
 */
export function readSettings(flags: Flags, folder: string = process.cwd()): EffectiveSettings {
  const file = findFile(flags.config, folder)
  const own = file === undefined ? emptyFile() : readYaml(readText(file), displayPath(file, folder))
  const given = flags.mosquitto ?? own.values.mosquitto
  const base = flags.mosquitto === undefined && file !== undefined ? path.dirname(file) : folder
  const mosquitto = typeof given === 'string' ? translate(absolute(given, base), folder, THIS_HOST) : undefined
  const layers = new Layers(own, mosquitto, flags, file, folder)
  const written = layers.merge(settingsSchema, layers.values, '') as Record<string, unknown>
  const ours = [...own.issues, ...layers.issues]
  const theirs = mosquitto?.issues ?? []
  if (ours.length > 0) throw configError([...ours, ...theirs])
  if (theirs.length > 0)
    throw configError(theirs, 'See docs/mosquitto.md for the support of each mosquitto.conf directive.')
  const { success, output, issues } = v.safeParse(settingsSchema, written)
  if (!success) throw configError(issues.map(issue => layers.issueOf(issue)))
  const shared = sharedPorts(output.listeners, key => layers.nearestPlaceOf(key))
  if (shared.length > 0) throw configError(shared)
  return { settings: output, file, written, sources: layers.sources, notes: mosquitto?.notes ?? [] }
}

class Layers {
  readonly issues: ConfigIssue[] = []
  readonly sources = new Map<string, string>()
  /** The merged values of both files. */
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
    this.values = mosquitto === undefined ? own.values : mergeOver(own.values, mosquitto.values)
    const duplicate = mosquitto === undefined ? undefined : own.lines.get('listeners')
    if (duplicate !== undefined) {
      this.issues.push({
        place: this.placeOf('listeners') ?? '',
        key: 'listeners',
        problem: 'mosquitto.conf defines listeners as well; keep one of the two'
      })
    }
  }

  merge(schema: v.GenericSchema, given: unknown, key: string): unknown {
    const part = partOf(schema)
    if (part.kind === 'map') {
      if (part.isOptional && (given === undefined || given === null)) return this.#leaf(key, null)
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
      if (items.length === 0) return this.#leaf(key, items)
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

  /** Records the source of a null map or an empty list. */
  #leaf(key: string, value: unknown): unknown {
    this.sources.set(key, this.placeOf(key) ?? 'default')
    return value
  }

  /** Converts an issue that shows only after merging: a missing value, or a conflict of two. */
  issueOf({ path, message }: v.BaseIssue<unknown>): ConfigIssue {
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

  /** `FILE:LINE` of a setting, or of its nearest parent in a file. */
  nearestPlaceOf(key: string): string {
    let from = key
    while (from !== '' && this.placeOf(from) === undefined) from = from.replace(/(^|\.)[^.[\]]+$|\[\d+\]$/, '')
    return this.placeOf(from) ?? 'settings'
  }

  /** `FILE:LINE` of a setting, if a file has it. */
  placeOf(key: string): string | undefined {
    const line = this.#own.lines.get(key)
    return line === undefined || this.#file === undefined
      ? this.#placeInMosquitto(key)
      : `${displayPath(this.#file, this.#folder)}:${line}`
  }

  /** List items have the location of their list. */
  #placeInMosquitto(key: string): string | undefined {
    const places = this.#mosquitto?.places
    return places?.get(key) ?? places?.get(key.replace(/\[\d+\]$/, ''))
  }

  #flagFor(schema: v.GenericSchema, key: string): { name: string; value: unknown } | undefined {
    for (const [flag, flagKey] of Object.entries(FLAG_KEYS) as [keyof typeof FLAG_KEYS, string][]) {
      const typed = this.#flags[flag]
      if (flagKey !== key || typed === undefined) continue
      const value = flag === 'port' && /^\d{1,10}$/.test(typed) ? Number(typed) : typed
      const expected = expectedOf(schema, value)
      if (expected !== undefined) {
        this.issues.push({ place: `--${flag}`, key: '', problem: `${displayed(value)} should be ${expected}` })
      }
      return { name: `--${flag}`, value }
    }
    return undefined
  }
}

/** Merges `upper` over `lower`, recursively. */
function mergeOver(upper: Record<string, unknown>, lower: Record<string, unknown>): Record<string, unknown> {
  const isMap = (value: unknown): value is Record<string, unknown> =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
  const merged = { ...lower }
  for (const [name, value] of Object.entries(upper)) {
    const below = lower[name]
    if (value !== undefined) merged[name] = isMap(value) && isMap(below) ? mergeOver(value, below) : value
  }
  return merged
}

function absolute(value: string, folder: string): string {
  return value.startsWith('~/') ? path.join(homedir(), value.slice(2)) : path.resolve(folder, value)
}

function findFile(named: string | undefined, folder: string): string | undefined {
  if (named !== undefined) return path.resolve(folder, named)
  const standard = path.resolve(folder, DEFAULT_FILE)
  return existsSync(standard) ? standard : undefined
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw new OperatorError(
      'config-file',
      `Cannot read the settings file ${printable(file, MAX_PATH_LENGTH)}: ${code}.`,
      'Check its name and permissions. artemis.example.yaml is a template.',
      { cause }
    )
  }
}

function emptyFile(): FileContents {
  return { values: {}, lines: new Map(), issues: [] }
}
