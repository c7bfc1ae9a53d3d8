// Reads a YAML file against the schema and keeps the line of each value.

import type { GenericSchema } from 'valibot'
import * as v from 'valibot'
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Document,
  type Node,
  type YAMLMap
} from 'yaml'
import { displayed, type ConfigIssue } from './config-error.js'
import { partOf, settingsSchema, type SchemaPart } from './schema.js'
import { nearest } from './suggestion.js'

/** Contents of a file: plain values by the keys of the schema, and their lines. */
export interface FileContents {
  /** The valid values, unparsed. */
  values: Record<string, unknown>
  /** Line of each value, from 1, by key path: `listeners[0].port`. */
  lines: Map<string, number>
  issues: ConfigIssue[]
}

/** Reads the text of a settings file; `name` is used in error messages. */
export function readYaml(text: string, name: string): FileContents {
  const lineCounter = new LineCounter()
  // Duplicate keys are detected below, where the line of the first is known.
  const document = parseDocument(text, { lineCounter, prettyErrors: false, uniqueKeys: false, strict: true })
  const reader = new Reader(document, lineCounter, name)
  return reader.read()
}

class Reader {
  readonly #issues: ConfigIssue[] = []
  readonly #lines = new Map<string, number>()
  readonly #document: Document.Parsed
  readonly #lineCounter: LineCounter
  readonly #name: string

  constructor(document: Document.Parsed, lineCounter: LineCounter, name: string) {
    this.#document = document
    this.#lineCounter = lineCounter
    this.#name = name
  }

  read(): FileContents {
    for (const { message, pos } of this.#document.errors) {
      this.#issues.push({ place: this.#placeAt(pos[0]), key: '', problem: `invalid YAML: ${message}` })
    }
    const root = this.#document.contents
    const isEmpty = root === null || (isScalar(root) && root.value === null)
    // The values of a document with syntax errors would be misleading.
    const value = this.#issues.length > 0 || isEmpty ? {} : this.#readPart(settingsSchema, root, '', 0)
    return { values: (value ?? {}) as Record<string, unknown>, lines: this.#lines, issues: this.#issues }
  }

  #readPart(schema: GenericSchema, given: unknown, key: string, offset: number): unknown {
    const node = isAlias(given) ? given.resolve(this.#document) : (given as Node | null | undefined)
    const part = partOf(schema)
    if (part.kind === 'value') return this.#readValue(schema, node, key, offset)
    // A key whose children are all commented out is ignored.
    if (node === null || node === undefined || (isScalar(node) && node.value === null)) {
      if (part.kind === 'map' && part.isOptional) this.#lines.set(key, this.#lineAt(offset))
      return undefined
    }
    if (part.kind === 'map' && isMap(node)) {
      this.#lines.set(key, this.#lineAt(offset))
      return this.#readMap(part.entries, node, key)
    }
    if (part.kind === 'list' && isSeq(node)) {
      const items = node.items.map(
        (item, index) => this.#readPart(part.item, item, `${key}[${index}]`, startOf(item) ?? offset) ?? {}
      )
      return this.#checked(schema, items, key, offset)
    }
    this.#addWrongKind(part, node, key, startOf(node) ?? offset)
    return undefined
  }

  #readMap(entries: Readonly<Record<string, GenericSchema>>, map: YAMLMap, key: string): Record<string, unknown> {
    const values: Record<string, unknown> = {}
    const seen = new Map<string, number>()
    for (const pair of map.items) {
      const name = isScalar(pair.key) ? String(pair.key.value) : 'a key that is not a string'
      const offset = startOf(pair.key) ?? 0
      const path = key === '' ? name : `${key}.${name}`
      const first = seen.get(name)
      const schema = Object.hasOwn(entries, name) ? entries[name] : undefined
      if (first !== undefined) {
        this.#addIssue(offset, path, `duplicate key, first on line ${this.#lineAt(first)}; keep one`)
      } else if (schema === undefined) {
        // The value is not shown: under a misspelt key it may be a secret.
        this.#addIssue(offset, path, `unknown key${hint(name, Object.keys(entries))}`)
      } else {
        values[name] = this.#readPart(schema, pair.value, path, offset)
      }
      if (first === undefined) seen.set(name, offset)
    }
    return values
  }

  #readValue(schema: GenericSchema, node: Node | null | undefined, key: string, offset: number): unknown {
    if (isMap(node) || isSeq(node)) return this.#checked(schema, isMap(node) ? {} : [], key, offset)
    return this.#checked(schema, isScalar(node) ? node.value : null, key, offset)
  }

  /**
   * Returns the value if the schema accepts it, else adds an issue and returns undefined. List items are checked
   * separately.
   */
  #checked(schema: GenericSchema, value: unknown, key: string, offset: number): unknown {
    this.#lines.set(key, this.#lineAt(offset))
    const isList = Array.isArray(value) && partOf(schema).kind === 'list'
    if (isList && value.length > 0) return value
    const expected = expectedOf(schema, value)
    if (expected === undefined) return value
    this.#addIssue(offset, key, `${isList ? 'an empty list' : displayed(value)} should be ${expected}`)
    return undefined
  }

  #addWrongKind(part: SchemaPart, node: Node, key: string, offset: number): void {
    const found = isMap(node) ? 'a map' : isSeq(node) ? 'a list' : displayed(isScalar(node) ? node.value : undefined)
    const expected =
      part.kind === 'list'
        ? 'a list, each item on its own line after "- "'
        : `a map with the keys ${part.kind === 'map' ? Object.keys(part.entries).join(', ') : ''}`
    this.#addIssue(offset, key, `${found} should be ${expected}`)
  }

  #addIssue(offset: number, key: string, problem: string): void {
    this.#issues.push({ place: this.#placeAt(offset), key, problem })
  }

  #lineAt(offset: number): number {
    return this.#lineCounter.linePos(offset).line
  }

  #placeAt(offset: number): string {
    return `${this.#name}:${this.#lineAt(offset)}`
  }
}

/** Returns a description of the expected value; undefined if `value` is valid. */
export function expectedOf(schema: GenericSchema, value: unknown): string | undefined {
  const { issues } = v.safeParse(schema, value)
  return issues?.[0].message
}

function startOf(node: unknown): number | undefined {
  return (node as Node | null | undefined)?.range?.[0]
}

function hint(name: string, siblings: readonly string[]): string {
  const elsewhere = placesOf(name, settingsSchema, '')
  if (elsewhere.length > 0) return `; did you mean ${elsewhere.join(' or ')}?`
  const meant = nearest(name, siblings)
  if (meant !== undefined) return `; did you mean ${meant}?`
  return `; valid keys: ${siblings.join(', ')}`
}

/** Returns all schema paths of keys with this name. */
function placesOf(name: string, schema: GenericSchema, key: string): string[] {
  const part = partOf(schema)
  if (part.kind === 'value') return []
  if (part.kind === 'list') return placesOf(name, part.item, `${key}[]`)
  return Object.entries(part.entries).flatMap(([entry, inner]) => {
    const path = key === '' ? entry : `${key}.${entry}`
    return [...(entry === name ? [path] : []), ...placesOf(name, inner, path)]
  })
}
