// The response that only observes.

import type { Response } from './response.js'

/** Raises the alert and takes no action. */
export const observe: Response = {
  name: 'observe',
  apply: () => 0,
  undo: () => {}
}
