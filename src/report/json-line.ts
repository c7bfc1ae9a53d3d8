// Makes JSON safe to print. Client ids and usernames may contain characters that control the terminal.

// DEL, C1 controls, line and paragraph separators, and bidirectional formatting characters.
const UNSAFE = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g

/**
 * Returns JSON text with unsafe characters escaped as `\uXXXX`. Its meaning is unchanged. JSON itself escapes C0
 * controls.
 */
export function printableJson(text: string): string {
  return text.replace(UNSAFE, character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
