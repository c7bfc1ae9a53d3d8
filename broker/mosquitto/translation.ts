// Translates mosquitto.conf to settings of artemis.yaml with their locations, and notes on differences.

import path from 'node:path'
import { displayed, type ConfigIssue } from '../config/config-error.js'
import { displayPath } from '../config/display-path.js'
import type { Directive } from './catalog.js'
import { DEFAULT_PORT, newDraft, type Draft, type HostNetwork, type Placed, type PlacedSettings } from './drafts.js'
import type { Note } from './note.js'
import { ListenerPlanner } from './listener-planner.js'
import { readStatements, type Statement } from './reader.js'
import { leastSevere, LOG_DESTINATIONS, logLevelOf, VALUES } from './values.js'

/** A mosquitto.conf in the form of artemis.yaml. */
export interface Translation {
  /** In the form of artemis.yaml; paths absolute. */
  values: Record<string, unknown>
  /** `FILE:LINE` of each, by key path. */
  places: Map<string, string>
  notes: Note[]
  issues: ConfigIssue[]
}

/**
 * Translates a mosquitto.conf.
 *
 * @param folder the folder that relative paths are resolved from
 * @throws OperatorError `mosquitto-file` if it cannot be read
 */
export function translate(file: string, folder: string, machine: HostNetwork): Translation {
  const { statements, issues } = readStatements(file, folder)
  const translator = new Translator(displayPath(file, folder), folder, machine)
  for (const statement of statements) translator.take(statement)
  return translator.finish(issues)
}

class Translator {
  readonly #notes: Note[] = []
  readonly #issues: ConfigIssue[] = []
  readonly #general: PlacedSettings = new Map()
  readonly #security: PlacedSettings = new Map()
  readonly #listeners: Draft[] = []
  readonly #defaultListener: Draft
  /** The current listener of each file: listeners of other files do not apply. */
  readonly #current = new Map<string, Draft>()
  readonly #bridges = new Map<string, Note>()
  readonly #firstPlaces = new Map<string, string>()
  #perListener = false
  #opensDefault = false
  #isLocal = true
  readonly #name: string
  readonly #folder: string
  readonly #machine: HostNetwork

  constructor(name: string, folder: string, machine: HostNetwork) {
    this.#name = name
    this.#folder = folder
    this.#machine = machine
    this.#defaultListener = newDraft(name, DEFAULT_PORT, null)
  }

  take(statement: Statement): void {
    const { directive, place } = statement
    if (directive.support === 'refused') {
      this.#addIssue(statement, `not supported. ${directive.here}`)
      return
    }
    const listener = this.#current.get(statement.file) ?? this.#defaultListener
    if (this.#isDuplicate(statement, listener)) return
    if (directive.of === 'bridge') {
      this.#bridge(statement)
      return
    }
    if (listener === this.#defaultListener && this.#opens(statement)) this.#openDefault(place)
    if (this.#takeSpecial(statement, listener)) return
    if (directive.closesListener === true && statement.value !== directive.matchingValue)
      listener.closedBy ??= statement
    if (directive.key !== undefined) this.#set(this.#settingsFor(directive, listener), directive.key, statement)
    this.#noteOn(statement)
  }

  finish(issues: readonly ConfigIssue[]): Translation {
    const values: Record<string, unknown> = { persistence: false }
    const places = new Map([['persistence', `${this.#name} (mosquitto's default)`]])
    for (const [key, placed] of this.#general) put(values, places, key, placed)
    const notes = this.#notes
    const planner = new ListenerPlanner(
      this.#machine,
      { file: this.#name, isLocal: this.#isLocal, perListener: this.#perListener },
      notes
    )
    if (!this.#perListener)
      for (const [key, placed] of planner.securityOf(this.#security)) put(values, places, `auth.${key}`, placed)
    const listeners = [
      ...this.#listeners,
      ...(this.#opensDefault || this.#listeners.length === 0 ? [this.#defaultListener] : [])
    ]
    if (!this.#isLocal) for (const { settings } of listeners) this.#checkKeyPair(settings)
    const open = this.#isLocal ? planner.local(this.#defaultListener) : listeners.flatMap(draft => planner.open(draft))
    values.listeners = open.map(() => ({}))
    for (const [index, { place, settings }] of open.entries()) {
      places.set(`listeners[${index}]`, place)
      for (const [key, placed] of settings) put(values, places, `listeners[${index}].${key}`, placed)
    }
    if (open.length === 0)
      this.#issues.push({
        place: this.#name,
        key: '',
        problem: `no listener can be opened.${notes.map(({ place, name, text }) => `\n    ${place}: ${name}: ${text}`).join('')}`
      })
    return { values, places, notes, issues: [...issues, ...this.#issues] }
  }

  /** Requires certificate and key together, as mosquitto does. */
  #checkKeyPair(settings: PlacedSettings): void {
    for (const [key, name, other, otherName] of [
      ['tls.cert', 'certfile', 'tls.key', 'keyfile'],
      ['tls.key', 'keyfile', 'tls.cert', 'certfile']
    ]) {
      const placed = settings.get(key)
      if (placed !== undefined && !settings.has(other))
        this.#issues.push({
          place: placed.place,
          key: name,
          problem: `${otherName} is missing`
        })
    }
  }

  /** Handles directives that do not map to a single setting. Returns whether this was such a directive. */
  #takeSpecial(statement: Statement, listener: Draft): boolean {
    const {
      directive: { name },
      value,
      place
    } = statement
    switch (name) {
      case 'listener':
        this.#listener(statement)
        return true
      case 'port':
        Object.assign(listener === this.#defaultListener ? listener : this.#defaultListener, {
          port: Number(value),
          place
        })
        return true
      case 'bind_address':
        Object.assign(this.#defaultListener, { host: value, place })
        return true
      case 'bind_interface':
        listener.interfaceName = value
        if (this.#machine.addressesOf(value).length === 0)
          this.#addIssue(statement, `${displayed(value)} is not a network interface with an address`)
        return true
      case 'capath':
        listener.capath = statement
        return false
      case 'socket_domain':
        if (value !== 'ipv4' && value !== 'ipv6')
          this.#addIssue(statement, `${displayed(value)} should be ipv4 or ipv6`)
        else listener.socketDomain = value
        if (value === 'ipv6') this.#noteOn(statement)
        return true
      case 'protocol':
        if (value !== 'mqtt' && value !== 'websockets') {
          this.#addIssue(statement, `${displayed(value)} should be mqtt or websockets`)
          return true
        }
        return false
      case 'per_listener_settings':
        if (this.#security.size > 0)
          this.#addIssue(
            statement,
            'should come before allow_anonymous, password_file, acl_file and similar directives'
          )
        this.#perListener = value === 'true'
        return true
      case 'persistence_location':
        this.#general.set('data', { value: path.resolve(this.#folder, value, 'artemis'), place })
        return true
      case 'log_dest':
        this.#logDestination(statement)
        return true
      case 'log_type':
        this.#logType(statement)
        return true
      case 'plugin':
      case 'auth_plugin':
        this.#settingsFor(statement.directive, listener).set('plugin', { value: true, place })
        return false
      case 'websockets_origin': {
        const known = listener.settings.get('origins')?.value as string[] | undefined
        listener.settings.set('origins', { value: [...(known ?? []), value], place })
        return true
      }
      default:
        return false
    }
  }

  #listener(statement: Statement): void {
    const { value, place, file } = statement
    const [port, second] = value.split(/ +/) as [string, string?]
    const host = second === undefined || second.startsWith('#') ? null : second
    this.#isLocal = false
    const draft = newDraft(place, Number(port), host)
    this.#current.set(file, draft)
    if (port === '0' && host !== null) draft.closedBy = statement
    else if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535) {
      this.#addIssue(statement, `${displayed(port)} should be a port from 1 to 65535`)
      return
    }
    this.#listeners.push(draft)
  }

  /** Whether a directive before the first listener makes mosquitto open its default listener. */
  #opens({ directive: { name, opensDefault, matchingValue }, value }: Statement): boolean {
    if (name === 'port' || name === 'bind_address') {
      this.#isLocal = false
      return true
    }
    if (name === 'protocol') return value !== 'mqtt'
    const isOwn =
      name === 'password_file' ||
      name === 'psk_file' ||
      name === 'plugin' ||
      name === 'auth_plugin' ||
      (name === 'allow_zero_length_clientid' && value === 'false')
    return (opensDefault === true && value !== matchingValue && value !== 'false') || (this.#perListener && isOwn)
  }

  #openDefault(place: string): void {
    this.#opensDefault = true
    if (this.#defaultListener.place === this.#name) this.#defaultListener.place = place
  }

  /** mosquitto accepts a text once per listener or broker. For other values, the last one wins. */
  #isDuplicate(statement: Statement, listener: Draft): boolean {
    const {
      directive: { form, repeats, of },
      name,
      place
    } = statement
    if (form.kind !== 'text' || repeats === true) return false
    const isOfListener = of === 'listener' || (of === 'security' && this.#perListener)
    const key = `${isOfListener ? listener.place : ''} ${name}`
    const first = this.#firstPlaces.get(key)
    if (first === undefined) this.#firstPlaces.set(key, place)
    else this.#addIssue(statement, `duplicate directive, first at ${first}; keep one`)
    return first !== undefined
  }

  #bridge(statement: Statement): void {
    const {
      directive: { name, here },
      value,
      place,
      file
    } = statement
    const bridge = this.#bridges.get(file)
    if (name === 'connection') {
      const note: Note = { place, name, support: 'not followed', text: `${displayed(value)}: ${here}` }
      this.#bridges.set(file, note)
      this.#notes.push(note)
    } else if (bridge === undefined)
      this.#addIssue(statement, 'belongs to a bridge, but there is no connection above it')
  }

  #settingsFor({ of }: Directive, listener: Draft): PlacedSettings {
    if (of === 'listener') return listener.settings
    if (of === 'security') return this.#perListener ? listener.security : this.#security
    return this.#general
  }

  #set(settings: PlacedSettings, key: string, { value, place }: Statement): void {
    const convert = VALUES[key]
    settings.set(key, { value: convert?.(value, this.#folder) ?? null, place })
  }

  #logDestination(statement: Statement): void {
    const [destination = '', ...rest] = statement.value.split(/ +/)
    const { place } = statement
    if (!LOG_DESTINATIONS.includes(destination))
      this.#addIssue(statement, `${displayed(destination)} should be one of ${LOG_DESTINATIONS.join(', ')}`)
    else if (destination === 'none') this.#general.set('log.level', { value: 'silent', place })
    else if (destination === 'file') {
      if (rest.length === 0) this.#addIssue(statement, 'path of the log file missing')
      else this.#general.set('log.file', { value: path.resolve(this.#folder, rest.join(' ')), place })
    } else if (destination !== 'stderr') this.#noteOn(statement)
  }

  #logType(statement: Statement): void {
    const level = logLevelOf(statement.value)
    if (level === undefined) {
      this.#addIssue(statement, `${displayed(statement.value)} is not a log type`)
      return
    }
    const known = this.#general.get('log.level')?.value as string | undefined
    if (known === 'silent') return
    this.#general.set('log.level', {
      value: known === undefined ? level : leastSevere(known, level),
      place: statement.place
    })
  }

  #noteOn({ directive: { support, here, matchingValue }, name, value, place }: Statement): void {
    if (support === 'followed' || support === 'refused' || value === matchingValue) return
    this.#notes.push({ place, name, support, text: here })
  }

  #addIssue({ place, name }: Statement, problem: string): void {
    this.#issues.push({ place, key: name, problem })
  }
}

/** Sets a value and its location under a path such as `listeners[0].tls.cert`. */
function put(
  values: Record<string, unknown>,
  places: Map<string, string>,
  key: string,
  { value, place }: Placed
): void {
  const steps = key.split(/[.[\]]+/)
  let target = values
  for (const step of steps.slice(0, -1)) target = (target[step] ??= {}) as Record<string, unknown>
  target[steps.at(-1) ?? ''] = value
  places.set(key, place)
}
