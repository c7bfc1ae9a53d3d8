// Appends alerts to a file, one JSON object per line, as Suricata does.

import { printableJson } from './json-line.js'
import { LineLog } from './line-log.js'

/** An EVE log. */
export class EveLog extends LineLog {
  write(event: object): void {
    this.append(`${printableJson(JSON.stringify(event))}\n`)
  }
}
