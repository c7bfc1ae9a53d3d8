// Validation rules for setting values, with their error messages.

import * as v from 'valibot'
import { parseDuration, parseSize } from './units.js'

// A rule's message describes the expected value; it follows "should be".

function integer(min: number, max: number, expected: string) {
  return v.pipe(v.number(expected), v.integer(expected), v.minValue(min, expected), v.maxValue(max, expected))
}

/** A text with a unit, which `parse` converts to a number. */
function quantity(parse: (text: string) => number, min: string, max: string, expected: string) {
  return v.pipe(
    v.string(expected),
    v.transform(parse),
    v.number(expected),
    v.minValue(parse(min), expected),
    v.maxValue(parse(max), expected)
  )
}

/** A whole number. */
export function wholeNumber(fallback: number, min: number, max: number) {
  const expected = `a whole number from ${min} to ${max}`
  return v.optional(integer(min, max, expected), fallback)
}

/** A whole number, or null for no limit. */
export function optionalWholeNumber(fallback: number | null, min: number, max: number) {
  const expected = `a whole number from ${min} to ${max}, or null`
  return v.optional(v.nullable(integer(min, max, expected)), fallback)
}

/** A number above `above` and up to `max`. */
export function fraction(fallback: number, above: number, max: number) {
  const expected = `a number above ${above} and up to ${max}`
  return v.optional(v.pipe(v.number(expected), v.gtValue(above, expected), v.maxValue(max, expected)), fallback)
}

/** A duration with its unit, parsed to milliseconds. */
export function duration(fallback: string, min: string, max: string) {
  const expected = `a duration from ${min} to ${max} with its unit (ms, s, m, h, d), such as ${fallback}`
  return v.optional(quantity(parseDuration, min, max, expected), fallback)
}

/** A duration with its unit, parsed to milliseconds, or null for none. */
export function optionalDuration(fallback: string | null, min: string, max: string) {
  const expected = `a duration from ${min} to ${max} with its unit (ms, s, m, h, d), or null`
  return v.optional(v.nullable(quantity(parseDuration, min, max, expected)), fallback)
}

/** A size with its unit, parsed to bytes. */
export function size(fallback: string, min: string, max: string) {
  const expected = `a size from ${min} to ${max} with its unit (B, KiB, MiB), such as ${fallback}`
  return v.optional(quantity(parseSize, min, max, expected), fallback)
}

/** A size with its unit, parsed to bytes, or null for no limit. */
export function optionalSize(fallback: string | null, min: string, max: string) {
  const expected = `a size from ${min} to ${max} with its unit (B, KiB, MiB), or null`
  return v.optional(v.nullable(quantity(parseSize, min, max, expected)), fallback)
}

/** One of a list of words. */
export function oneOf<const Words extends readonly string[]>(fallback: Words[number], words: Words) {
  return v.optional(v.picklist(words, `one of ${words.join(', ')}`), fallback)
}

/** A boolean. */
export function flag(fallback: boolean) {
  return v.optional(v.boolean('true or false'), fallback)
}

/** A boolean, or null. */
export function optionalFlag() {
  return v.optional(v.nullable(v.boolean('true, false or null')), null)
}

/** A list of strings that satisfy a check; empty by default. */
export function listOf(expected: string, isValid: (text: string) => boolean) {
  return v.optional(v.array(v.pipe(v.string(expected), v.check(isValid, expected)), 'a list'), [])
}

/** A string that matches a pattern, or null for none. */
export function optionalText(pattern: RegExp, expected: string) {
  return v.optional(
    v.nullable(v.pipe(v.string(`${expected}, or null`), v.regex(pattern, `${expected}, or null`))),
    null
  )
}

const PATH = 'a path'

// A path is not empty and contains no NUL.
const PATH_FORM = /^[^\u0000]+$/

/** A path; in a settings file it is relative to the folder of that file. */
export function filePath(fallback: string) {
  return v.optional(v.pipe(v.string(PATH), v.regex(PATH_FORM, PATH), v.metadata({ path: true })), fallback)
}

/** A path without a default. */
export function requiredFilePath() {
  return v.pipe(v.string(PATH), v.regex(PATH_FORM, PATH), v.metadata({ path: true }))
}

/** A path, or null for none. */
export function optionalFilePath() {
  const expected = `${PATH}, or null`
  return v.optional(
    v.nullable(v.pipe(v.string(expected), v.regex(PATH_FORM, expected), v.metadata({ path: true }))),
    null
  )
}
