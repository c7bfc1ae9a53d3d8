// Appends alerts to a file, one JSON object a line, as Suricata does.

import { LineLog } from './line-log.js'

/** An EVE log. */
export class EveLog extends LineLog {
  write (event: object): void {
    this.append(`${JSON.stringify(event)}\n`)
  }
}
