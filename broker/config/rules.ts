// The kinds of value that a setting can have: each says in words what would be right.

import * as v from 'valibot'
import { parseDuration, parseSize } from './units.js'

// What a rule's message says is what would be right, never what is wrong: it stands after "should be".

/** A whole number. */
export function wholeNumber(fallback: number, min: number, max: number) {
  const right = `a whole number from ${min} to ${max}`
  return v.optional(v.pipe(v.number(right), v.integer(right), v.minValue(min, right), v.maxValue(max, right)), fallback)
}

/** A whole number, or null for no limit. */
export function optionalWholeNumber(fallback: number | null, min: number, max: number) {
  const right = `a whole number from ${min} to ${max}, or null`
  return v.optional(
    v.nullable(v.pipe(v.number(right), v.integer(right), v.minValue(min, right), v.maxValue(max, right))),
    fallback
  )
}

/** A number above `above`, and below or at `max`. */
export function fraction(fallback: number, above: number, max: number) {
  const right = `a number above ${above} and up to ${max}`
  return v.optional(v.pipe(v.number(right), v.gtValue(above, right), v.maxValue(max, right)), fallback)
}

/** A duration with its unit; milliseconds when read. */
export function duration(fallback: string, min: string, max: string) {
  const right = `a duration from ${min} to ${max} with its unit (ms, s, m, h, d), such as ${fallback}`
  return v.optional(
    v.pipe(
      v.string(right),
      v.transform(parseDuration),
      v.number(right),
      v.minValue(parseDuration(min), right),
      v.maxValue(parseDuration(max), right)
    ),
    fallback
  )
}

/** A duration with its unit, or null for none; milliseconds when read. */
export function optionalDuration(fallback: string | null, min: string, max: string) {
  const right = `a duration from ${min} to ${max} with its unit (ms, s, m, h, d), or null`
  return v.optional(
    v.nullable(
      v.pipe(
        v.string(right),
        v.transform(parseDuration),
        v.number(right),
        v.minValue(parseDuration(min), right),
        v.maxValue(parseDuration(max), right)
      )
    ),
    fallback
  )
}

/** A size with its unit; bytes when read. */
export function size(fallback: string, min: string, max: string) {
  const right = `a size from ${min} to ${max} with its unit (B, KiB, MiB), such as ${fallback}`
  return v.optional(
    v.pipe(
      v.string(right),
      v.transform(parseSize),
      v.number(right),
      v.minValue(parseSize(min), right),
      v.maxValue(parseSize(max), right)
    ),
    fallback
  )
}

/** A size with its unit, or null for no limit; bytes when read. */
export function optionalSize(fallback: string | null, min: string, max: string) {
  const right = `a size from ${min} to ${max} with its unit (B, KiB, MiB), or null`
  return v.optional(
    v.nullable(
      v.pipe(
        v.string(right),
        v.transform(parseSize),
        v.number(right),
        v.minValue(parseSize(min), right),
        v.maxValue(parseSize(max), right)
      )
    ),
    fallback
  )
}

/** One of a few words. */
export function oneOf<const Words extends readonly string[]>(fallback: Words[number], words: Words) {
  return v.optional(v.picklist(words, `one of ${words.join(', ')}`), fallback)
}

/** Yes or no. */
export function flag(fallback: boolean) {
  return v.optional(v.boolean('true or false'), fallback)
}

/** Yes, no, or null for what the setting's comment says. */
export function optionalFlag() {
  return v.optional(v.nullable(v.boolean('true, false or null')), null)
}

/** A list of texts of a certain form; none by default. */
export function listOf(right: string, isRight: (text: string) => boolean) {
  return v.optional(v.array(v.pipe(v.string(right), v.check(isRight, right)), 'a list'), [])
}

/** A text of a certain form, or null for none. */
export function optionalText(form: RegExp, right: string) {
  return v.optional(v.nullable(v.pipe(v.string(`${right}, or null`), v.regex(form, `${right}, or null`))), null)
}

const PATH = 'a path'
// No path of any system holds a NUL, and none is empty.

const PATH_FORM = /^[^\u0000]+$/

/** A path; in a file it counts from the file's own folder. */
export function filePath(fallback: string) {
  return v.optional(v.pipe(v.string(PATH), v.regex(PATH_FORM, PATH), v.metadata({ path: true })), fallback)
}

/** A path that has no default. */
export function requiredFilePath() {
  return v.pipe(v.string(PATH), v.regex(PATH_FORM, PATH), v.metadata({ path: true }))
}

/** A path, or null for none. */
export function optionalFilePath() {
  const right = `${PATH}, or null`
  return v.optional(v.nullable(v.pipe(v.string(right), v.regex(PATH_FORM, right), v.metadata({ path: true }))), null)
}
