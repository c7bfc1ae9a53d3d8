// Appends alerts to a file, one JSON object a line, as Suricata does.

import { shownJson } from './json-line.js'
import { LineLog } from './line-log.js'

/** An EVE log. */
export class EveLog extends LineLog {
  write(event: object): void {
    this.append(`${shownJson(JSON.stringify(event))}\n`)
  }
}
