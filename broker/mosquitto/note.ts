// Notes on directives that behave differently from mosquitto.

import type { SupportLevel } from './catalog.js'

/** A note on a line of mosquitto.conf. */
export interface Note {
  /** `FILE:LINE` */
  place: string
  /** The directive. */
  name: string
  support: Exclude<SupportLevel, 'followed' | 'refused'>
  /** The effect in Artemis. */
  text: string
}
