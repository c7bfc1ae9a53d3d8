// The response that disconnects the offender. It may connect again.

import type { Response } from './response.js'

/** Closes the offending connections. Has no lasting effect, so there is nothing to undo. */
export const disconnect: Response = {
  name: 'disconnect',
  apply: ({ connections }, broker) => connections.filter(connection => broker.expel(connection)).length,
  undo: () => {}
}
