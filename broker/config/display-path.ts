// File names in messages.

import path from 'node:path'

/** Returns the path relative to `folder` if the file is in it, else the full path. */
export function displayPath(file: string, folder: string): string {
  const relative = path.relative(folder, file)
  return relative.startsWith('..') ? file : relative
}
