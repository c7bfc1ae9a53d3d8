// Labels: which records are attacks, and which, by address and time, by frame number, or all alike.

import { createReadStream } from 'node:fs'
import { isIP } from 'node:net'
import { OperatorError } from '../src/errors.js'
import { normaliseAddress } from '../src/observe/address.js'
import { timeOf, type TrafficRecord } from '../src/record.js'
import { UNREADABLE } from './capture-input.js'
import { csvMistake, readCsv, type CsvRow } from './csv.js'
import { printable } from './printable.js'

/** What a record is called: the attack's name; null where it is benign. */
export type Label = string | null

/** Tells what records are. */
export interface Labels {
  /** To be called once for each record, in the order of its file. */
  of (record: TrafficRecord): Label
  /** Addresses or frames of the label file that no record had so far. */
  unmatched (): string[]
}

const FORM = 'A label file is CSV, either ip,label[,from,to] with epoch seconds or frame,label; the label 0 or benign is benign.'
const BENIGN = /^(0|benign)$/i

/** What a name means as a label; the command line's `--label-all`. */
export function labelOf (name: string): Label {
  return BENIGN.test(name) ? null : name
}

/** The same label for every record. */
export function labelAll (label: Label): Labels {
  return { of: () => label, unmatched: () => [] }
}

/**
 * Reads a label file: the rows after an optional header, either all by address or all by frame.
 *
 * @param files the inputs that it labels: frames are told apart in one file only
 * @throws OperatorError `labels-unreadable`, `csv`, `labels-empty`, `labels-frames`
 */
export async function readLabels (path: string, files: readonly string[]): Promise<Labels> {
  let labels: AddressLabels | FrameLabels | undefined
  for await (const row of rowsOf(path)) {
    if (row.fields.length === 1 && row.fields[0] === '') continue
    const fields = row.fields.map(field => field.trim())
    if (labels === undefined) {
      labels = formOf(path, row, fields)
      if (labels instanceof FrameLabels && files.length > 1) {
        throw new OperatorError('labels-frames', `${path} labels frames by number, and there are ${files.length} files`,
          'Name one file, or label by address.')
      }
      if (fields[0] === 'frame' || fields[0] === 'ip') continue
    }
    labels.add(row, fields)
  }
  if (labels === undefined) throw new OperatorError('labels-empty', `${path}: there is no label in it`, FORM)
  return labels
}

async function * rowsOf (path: string): AsyncGenerator<CsvRow> {
  try {
    for await (const rows of readCsv(createReadStream(path), path)) yield * rows
  } catch (error) {
    if (error instanceof OperatorError || !(error instanceof Error && 'code' in error)) throw error
    throw new OperatorError('labels-unreadable', `${path} cannot be read: ${UNREADABLE[String(error.code)] ?? error.message}`, 'Check the name and the permissions.', { cause: error })
  }
}

function formOf (path: string, row: CsvRow, fields: readonly string[]): AddressLabels | FrameLabels {
  const [first] = fields
  const header = fields.join()
  if (['ip,label', 'ip,label,from', 'ip,label,from,to'].includes(header) || isAddress(first)) return new AddressLabels(path)
  if (header === 'frame,label' || /^\d+$/.test(first)) return new FrameLabels(path)
  throw csvMistake(path, row.line, `${printable(JSON.stringify(header))} begins no label file`, FORM)
}

/** A stretch of time in which an address has a label. */
interface Span {
  /** Place in the file: the first label of an attack counts. */
  order: number
  label: Label
  from: number
  to: number
}

class AddressLabels implements Labels {
  private readonly spans = new Map<string, Span[]>()
  private readonly seen = new Set<string>()
  private count = 0

  constructor (private readonly path: string) {}

  add ({ line }: CsvRow, fields: readonly string[]): void {
    const [address = '', name = '', from = '', to = ''] = fields
    if (fields.length < 2 || fields.length > 4) throw csvMistake(this.path, line, `a row has 2 to 4 fields, and this one ${fields.length}`, FORM)
    if (!isAddress(address)) throw csvMistake(this.path, line, `${shown(address)} is no IP address`, FORM)
    if (name === '') throw csvMistake(this.path, line, 'the label is empty', FORM)
    const span = { order: this.count++, label: labelOf(name), from: this.seconds(line, from, -Infinity), to: this.seconds(line, to, Infinity) }
    if (span.from > span.to) throw csvMistake(this.path, line, `${from} is after ${to}`, FORM)
    const key = canonical(address)
    const spans = this.spans.get(key)
    if (spans === undefined) this.spans.set(key, [span])
    else spans.push(span)
  }

  of (record: TrafficRecord): Label {
    const time = timeOf(record)
    const { src_ip: source, dst_ip: destination } = record.features
    let first: Span | undefined
    for (const address of [source, destination]) {
      const spans = address === null ? undefined : this.spans.get(address)
      if (address === null || spans === undefined) continue
      this.seen.add(address)
      for (const span of spans) {
        const counts = span.label !== null && span.from <= time && time <= span.to
        if (counts && (first === undefined || span.order < first.order)) first = span
      }
    }
    return first?.label ?? null
  }

  unmatched (): string[] {
    return [...this.spans.keys()].filter(address => !this.seen.has(address))
  }

  private seconds (line: number, text: string, open: number): number {
    if (text === '') return open
    if (!/^\d{1,12}(\.\d+)?$/.test(text)) throw csvMistake(this.path, line, `${shown(text)} is no time in epoch seconds`, FORM)
    return Number(text)
  }
}

class FrameLabels implements Labels {
  private readonly labels = new Map<number, Label>()
  private readonly met = new Set<number>()
  private last = 0

  constructor (private readonly path: string) {}

  add ({ line }: CsvRow, fields: readonly string[]): void {
    const [frame = '', name = ''] = fields
    if (fields.length !== 2) throw csvMistake(this.path, line, `a row has 2 fields, and this one ${fields.length}`, FORM)
    if (!/^\d{1,15}$/.test(frame)) throw csvMistake(this.path, line, `${shown(frame)} is no frame number`, FORM)
    if (name === '') throw csvMistake(this.path, line, 'the label is empty', FORM)
    const number = Number(frame)
    if (this.labels.has(number)) throw csvMistake(this.path, line, `frame ${number} is labelled twice`, FORM)
    this.labels.set(number, labelOf(name))
  }

  of ({ frame }: TrafficRecord): Label {
    const number = frame ?? 0
    if (number <= this.last) {
      throw new OperatorError('labels-frames', `${this.path} labels frames by number, and frame ${number} comes after frame ${this.last}: ` +
        'the records are of more than one capture', 'Label one capture at a time, or label by address.')
    }
    this.last = number
    if (this.labels.has(number)) this.met.add(number)
    return this.labels.get(number) ?? null
  }

  unmatched (): string[] {
    // Benign is what a frame without a row would have been anyhow.
    return [...this.labels].filter(([frame, label]) => label !== null && !this.met.has(frame)).map(([frame]) => `frame ${frame}`)
  }
}

/** A zone, as in fe80::1%eth0, belongs to a machine and stands in no packet. */
function isAddress (text: string): boolean {
  return isIP(text) !== 0 && !text.includes('%')
}

/** An address in the form that records have. */
function canonical (address: string): string {
  // The URL parser writes IPv6 after RFC 5952.
  const text = isIP(address) === 6 ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address
  return normaliseAddress(mappedToDotted(text))
}

/** ::ffff:c000:201 as ::ffff:192.0.2.1. */
function mappedToDotted (address: string): string {
  const match = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(address)
  if (match === null) return address
  const [high, low] = [parseInt(match[1], 16), parseInt(match[2], 16)]
  return `::ffff:${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
}

function shown (text: string): string {
  return printable(JSON.stringify(text))
}
