// The response that only watches.

import type { Response } from './response.js'

/** Raises the alert and leaves the client alone. */
export const observe: Response = {
  name: 'observe',
  apply: () => 0,
  undo: () => {}
}
