// What is said of a directive that does not do here what it does in mosquitto.

import type { SupportLevel } from './catalog.js'

/** A sentence about a line of mosquitto.conf. */
export interface Note {
  /** `FILE:LINE` */
  place: string
  /** The directive. */
  name: string
  support: Exclude<SupportLevel, 'followed' | 'refused'>
  /** What happens instead. */
  text: string
}
