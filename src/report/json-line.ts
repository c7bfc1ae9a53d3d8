// JSON that is safe to show: the names that clients give themselves may hold what moves a terminal's cursor.

// DEL, C1 controls, line and paragraph separators, and the marks that change the direction of text.
const UNSAFE = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g

/**
 * `text`, which is JSON, with such characters written as `\uXXXX`; it says the same. JSON escapes C0 controls by
 * itself.
 */
export function shownJson(text: string): string {
  return text.replace(UNSAFE, character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
