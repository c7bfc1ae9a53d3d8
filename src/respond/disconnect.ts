// The response that throws the offender out and lets it come back.

import type { Response } from './response.js'

/** Closes the offending connections. Nothing lasts, so there is nothing to undo. */
export const disconnect: Response = {
  name: 'disconnect',
  apply: ({ connections }, broker) => connections.filter(connection => broker.expel(connection)).length,
  undo: () => {}
}
