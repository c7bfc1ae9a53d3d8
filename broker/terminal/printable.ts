// Makes untrusted text safe to print: no control characters, no direction changes, limited length.

const MAX_LENGTH = 120

// C0 and C1 controls, line and paragraph separators, and marks that change the text direction.
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g

/** Maximum length of a path. */
export const MAX_PATH_LENGTH = 4096

/** Escapes control characters as `\uXXXX`, hides the password of a URL, and truncates at `maxLength` characters. */
export function printable(text: string, maxLength = MAX_LENGTH): string {
  const safe = text
    .replace(/(\/\/[^/@\s:]*):\S*@/g, '$1:(hidden)@')
    .replace(UNSAFE, character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return safe.length > maxLength ? `${safe.slice(0, maxLength)}...` : safe
}
