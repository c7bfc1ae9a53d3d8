// Labels by address and time: ip,label[,from,to].

import { isIP } from 'node:net'
import { normaliseAddress } from '../../src/observe/address.js'
import { timeOf, type TrafficRecord } from '../../src/record.js'
import type { CsvRow } from '../records/csv.js'
import { labelMistake, labelOf, shown, type Label, type LabelRows } from './label.js'

/** A stretch of time in which an address has a label. */
interface Span {
  /** Place in the file: the first label of an attack counts. */
  order: number
  label: Label
  from: number
  to: number
}

/** A record has the label of either of its addresses, within the label's time. */
export class AddressLabels implements LabelRows {
  readonly #spans = new Map<string, Span[]>()
  readonly #seen = new Set<string>()
  #count = 0
  readonly #path: string

  constructor(path: string) {
    this.#path = path
  }

  add({ line }: CsvRow, fields: readonly string[]): void {
    const [address = '', name = '', from = '', to = ''] = fields
    if (fields.length < 2 || fields.length > 4)
      throw labelMistake(this.#path, line, `a row has 2 to 4 fields, and this one ${fields.length}`)
    if (!isAddress(address)) throw labelMistake(this.#path, line, `${shown(address)} is no IP address`)
    if (name === '') throw labelMistake(this.#path, line, 'the label is empty')
    const span = {
      order: this.#count++,
      label: labelOf(name),
      from: this.#seconds(line, from, -Infinity),
      to: this.#seconds(line, to, Infinity)
    }
    if (span.from > span.to) throw labelMistake(this.#path, line, `${from} is after ${to}`)
    const key = canonical(address)
    const spans = this.#spans.get(key)
    if (spans === undefined) this.#spans.set(key, [span])
    else spans.push(span)
  }

  begin(): void {}

  of(record: TrafficRecord): Label {
    const time = timeOf(record)
    const { src_ip: source, dst_ip: destination } = record.features
    let first: Span | undefined
    for (const address of [source, destination]) {
      const spans = address === null ? undefined : this.#spans.get(address)
      if (address === null || spans === undefined) continue
      this.#seen.add(address)
      for (const span of spans) {
        const counts = span.label !== null && span.from <= time && time <= span.to
        if (counts && (first === undefined || span.order < first.order)) first = span
      }
    }
    return first?.label ?? null
  }

  unmatched(): string[] {
    return [...this.#spans.keys()].filter(address => !this.#seen.has(address))
  }

  #seconds(line: number, text: string, open: number): number {
    if (text === '') return open
    if (!/^\d{1,12}(\.\d+)?$/.test(text))
      throw labelMistake(this.#path, line, `${shown(text)} is no time in epoch seconds`)
    return Number(text)
  }
}

/** A zone, as in fe80::1%eth0, belongs to a machine and stands in no packet. */
export function isAddress(text: string): boolean {
  return isIP(text) !== 0 && !text.includes('%')
}

/** An address in the form that records have. */
function canonical(address: string): string {
  // The URL parser writes IPv6 after RFC 5952.
  const text = isIP(address) === 6 ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address
  return normaliseAddress(mappedToDotted(text))
}

/** ::ffff:c000:201 as ::ffff:192.0.2.1. */
function mappedToDotted(address: string): string {
  const match = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(address)
  if (match === null) return address
  const [high, low] = [parseInt(match[1], 16), parseInt(match[2], 16)]
  return `::ffff:${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
}
