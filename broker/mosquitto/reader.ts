// Reads mosquitto.conf and its include files: the directives with their locations, in order of evaluation.

import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { OperatorError } from '../../src/errors.js'
import { displayed, type ConfigIssue } from '../config/config-error.js'
import { displayPath } from '../config/display-path.js'
import { nearest } from '../config/suggestion.js'
import { MAX_PATH_LENGTH, printable } from '../terminal/printable.js'
import { DIRECTIVES, directiveOf, type Directive } from './catalog.js'

/** A directive in a file. */
export interface Statement {
  directive: Directive
  /** The name as written, including the part that matches `*`. */
  name: string
  /** Trimmed; `true` or `false` for a flag. */
  value: string
  /** `FILE:LINE` */
  place: string
  /** The file: listeners and bridges end with their file. */
  file: string
}

/** The directives and errors of all files. */
export interface ReadStatements {
  statements: Statement[]
  issues: ConfigIssue[]
}

/**
 * Reads a configuration. Relative paths in it are resolved from `folder`, as from mosquitto's working directory.
 *
 * @throws OperatorError `mosquitto-file` if the file itself cannot be read
 */
export function readStatements(file: string, folder: string): ReadStatements {
  const reader = new Reader(folder)
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new OperatorError(
      'mosquitto-file',
      `Cannot read the mosquitto configuration ${printable(file, MAX_PATH_LENGTH)}: ${codeOf(cause)}.`,
      'Check its name and permissions. On Debian it is /etc/mosquitto/mosquitto.conf.',
      { cause }
    )
  }
  reader.read(text, file, true)
  return reader
}

class Reader implements ReadStatements {
  readonly statements: Statement[] = []
  readonly issues: ConfigIssue[] = []
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  read(text: string, file: string, isMain: boolean): void {
    for (const [index, line] of text.split('\n').entries()) {
      const content = line.replace(/[ \r]+$/, '')
      // As in mosquitto, a comment starts in the first column.
      if (content === '' || content.startsWith('#')) continue
      const place = `${displayPath(file, this.#folder)}:${index + 1}`
      const [, name = '', rest = ''] = /^ *([^ ]+) *(.*)$/.exec(content) ?? []
      const directive = directiveOf(name)
      if (directive === undefined) this.issues.push({ place, key: '', problem: unknownDirective(name) })
      else this.#take({ directive, name, value: rest, place, file }, isMain)
    }
  }

  #take(statement: Statement, isMain: boolean): void {
    const { directive, name, place } = statement
    const value = valueOf(statement)
    if (typeof value !== 'string') {
      this.issues.push({ place, key: name, problem: value.problem })
      return
    }
    this.statements.push({ ...statement, value })
    if (directive.name === 'include_dir' && isMain) this.#include(value, place)
  }

  #include(given: string, place: string): void {
    const folder = path.resolve(this.#folder, given)
    try {
      const names = readdirSync(folder)
        .filter(name => name.endsWith('.conf'))
        .sort(mosquittoOrder)
      for (const name of names) this.read(readFileSync(path.join(folder, name), 'utf8'), path.join(folder, name), false)
    } catch (cause) {
      this.issues.push({
        place,
        key: 'include_dir',
        problem: `cannot read ${displayed(given)}: ${codeOf(cause)}`
      })
    }
  }
}

/** Parses the value according to its form, or returns the problem with it. */
function valueOf({ directive: { form, name }, value }: Statement): string | { problem: string } {
  if (value === '') return { problem: 'value missing' }
  if (form.kind === 'text') return value
  const [word = '', ...more] = value.split(/ +/)
  if (more.length > 0 && !more[0]?.startsWith('#')) return { problem: `${displayed(value)} should be a single word` }
  switch (form.kind) {
    case 'flag':
      if (word === 'true' || word === '1') return 'true'
      if (word === 'false' || word === '0') return 'false'
      return { problem: `${displayed(word)} should be true or false` }
    case 'number': {
      const isValid = /^-?\d{1,16}$/.test(word) && Number(word) >= form.min && Number(word) <= form.max
      if (isValid) return String(Number(word))
      return { problem: `${displayed(word)} should be a whole number from ${form.min} to ${form.max}` }
    }
    case 'duration':
      return /^\d+[hdwmy]$/.test(word)
        ? word
        : { problem: `${displayed(word)} should be a number with the unit h, d, w, m or y (${name})` }
  }
}

function unknownDirective(name: string): string {
  const word = name.split('\t')[0] ?? name
  if (word !== name) return `${displayed(word)} should be followed by a space, not by a tab`
  if (name.startsWith('#')) return 'a comment should start in the first column'
  const meant = nearest(
    name,
    DIRECTIVES.map(({ name }) => name)
  )
  // The value is not shown: after a misspelt name it may be a secret.
  return `unknown directive ${displayed(name)}${meant === undefined ? '' : `; did you mean ${meant}?`}`
}

/** Compares file names in mosquitto's order, each upper-case letter just before its lower-case one: A, Ab, a, B. */
function mosquittoOrder(a: string, b: string): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const [x, y] = [a[i], b[i]]
    const [upperX, upperY] = [x.toUpperCase(), y.toUpperCase()]
    if (upperX !== upperY) return upperX < upperY ? -1 : 1
    if (x !== y) return x < y ? -1 : 1
  }
  return a.length - b.length
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error)
}
