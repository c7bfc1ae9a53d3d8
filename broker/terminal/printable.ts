// Text from outside made safe to show: nothing in it may move the cursor, reverse the line or run on.

const MAX_LENGTH = 120

// C0 and C1 controls, line and paragraph separators, and the marks that change the direction of text.

const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g

/** Room for any path that a system takes. */
export const MAX_PATH_LENGTH = 4096

/**
 * `text` with control characters written as `\uXXXX`, the password of a URL left out, cut at `maxLength` characters.
 */
export function printable(text: string, maxLength = MAX_LENGTH): string {
  const safe = text
    .replace(/(\/\/[^/@\s:]*):\S*@/g, '$1:(hidden)@')
    .replace(UNSAFE, character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return safe.length > maxLength ? `${safe.slice(0, maxLength)}...` : safe
}
