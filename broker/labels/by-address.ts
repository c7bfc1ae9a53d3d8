// Labels by address and time: ip,label[,from,to].

import { isIP } from 'node:net'
import { normaliseAddress } from '../../src/observe/address.js'
import { timeOf, type TrafficRecord } from '../../src/record.js'
import type { CsvRow } from '../records/csv.js'
import { labelError, labelOf, shown, type Label, type LabelRows } from './label.js'

/** A time range in which an address has a label. */
interface Span {
  /** Row number: the first attack label that matches wins. */
  order: number
  label: Label
  from: number
  to: number
}

/** Labels a record by either of its addresses, within the time range of the label. */
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
      throw labelError(this.#path, line, `expected 2 to 4 fields, got ${fields.length}`)
    if (!isAddress(address)) throw labelError(this.#path, line, `${shown(address)} is not an IP address`)
    if (name === '') throw labelError(this.#path, line, 'the label is empty')
    const span = {
      order: this.#count++,
      label: labelOf(name),
      from: this.#seconds(line, from, -Infinity),
      to: this.#seconds(line, to, Infinity)
    }
    if (span.from > span.to) throw labelError(this.#path, line, `${from} is after ${to}`)
    const key = canonical(address)
    const spans = this.#spans.get(key)
    if (spans === undefined) this.#spans.set(key, [span])
    else spans.push(span)
  }

  start(): void {}

  of(record: TrafficRecord): Label {
    const time = timeOf(record)
    const { src_ip: source, dst_ip: destination } = record.features
    let first: Span | undefined
    for (const address of [source, destination]) {
      const spans = address === null ? undefined : this.#spans.get(address)
      if (address === null || spans === undefined) continue
      this.#seen.add(address)
      for (const span of spans) {
        const matches = span.label !== null && span.from <= time && time <= span.to
        if (matches && (first === undefined || span.order < first.order)) first = span
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
      throw labelError(this.#path, line, `${shown(text)} is not a time in epoch seconds`)
    return Number(text)
  }
}

/** Whether a text is an IP address. Zones, as in fe80::1%eth0, are refused: packets have none. */
export function isAddress(text: string): boolean {
  return isIP(text) !== 0 && !text.includes('%')
}

/** Returns an address in the form used in records. */
function canonical(address: string): string {
  // The URL parser formats IPv6 as in RFC 5952.
  const text = isIP(address) === 6 ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address
  return normaliseAddress(mappedToDotted(text))
}

/** Converts ::ffff:c000:201 to ::ffff:192.0.2.1. */
function mappedToDotted(address: string): string {
  const match = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(address)
  if (match === null) return address
  const [high, low] = [parseInt(match[1], 16), parseInt(match[2], 16)]
  return `::ffff:${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
}
