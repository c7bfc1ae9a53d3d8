// How a place in a file is named: as short as it is clear.

import path from 'node:path'

/** A file's name from `folder`, where it lies in it; else its full path. */
export function displayPath(file: string, folder: string): string {
  const relative = path.relative(folder, file)
  return relative.startsWith('..') ? file : relative
}
