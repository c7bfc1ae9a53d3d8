// Formats the results as a Markdown table, and checks the aims.

import { percentile } from '../../models/statistics.js'
import { cellTitle, type Cell } from './cells.js'
import type { CellResult, Round, Series } from './measurement.js'
import { VARIANTS } from './variants.js'

type Measure = 'threadUs' | 'processUs' | 'messagesPerSecond'

/**
 * Aims by QoS, for raw sockets, clean sessions and the large window, relative to the first variant: maximum thread
 * time, minimum messages per second.
 */
const AIMS: Readonly<Record<number, { threadUs: number; messagesPerSecond: number } | undefined>> = {
  0: { threadUs: 0.6, messagesPerSecond: 1.4 },
  1: { threadUs: 1, messagesPerSecond: 1 }
}
const AIM_CELL: Readonly<Partial<Cell>> = { load: 'raw', session: 'clean', window: 1_000 }

/** Returns the median of the rounds; NaN if there are none. */
export function median({ rounds }: Series, measure: Measure): number {
  return medianOf(rounds.map(round => round[measure]))
}

/** Returns the median of the ratios to another series, round by round. */
export function ratio({ rounds }: Series, base: Series | undefined, measure: Measure): number {
  return medianOf(
    rounds.flatMap((round, i) => {
      const other: Round | undefined = base?.rounds[i]
      return other === undefined ? [] : [round[measure] / other[measure]]
    })
  )
}

/** Returns the table of all cells and brokers. */
export function resultTable(results: readonly CellResult[], first: string): string {
  const head = ['load', 'broker', 'thread, µs', '×', 'process, µs', '×', 'messages/s', '×', 'load, % of a core']
  const rows = results.flatMap(({ cell, series }) => {
    const base = series.find(({ variant }) => variant === first)
    return series.map(one => [
      cellTitle(cell),
      VARIANTS[one.variant].title,
      ...(one.failed !== undefined && one.rounds.length === 0
        ? ['failed', '', '', '', '', '', '']
        : [
            microseconds(median(one, 'threadUs')),
            ratioText(ratio(one, base, 'threadUs')),
            microseconds(median(one, 'processUs')),
            ratioText(ratio(one, base, 'processUs')),
            count(median(one, 'messagesPerSecond')),
            ratioText(ratio(one, base, 'messagesPerSecond')),
            count(medianOf(one.rounds.map(({ loadSeconds, seconds }) => (loadSeconds / seconds) * 100)))
          ])
    ])
  })
  return [head, head.map((_, i) => (i < 2 ? '---' : '---:')), ...rows]
    .map(cells => `| ${cells.join(' | ')} |`)
    .join('\n')
}

/** Returns a line for each measured aim. */
export function aimLines(results: readonly CellResult[], first: string): string[] {
  return results.flatMap(({ cell, series }) => {
    const aim = AIMS[cell.qos]
    const base = series.find(({ variant }) => variant === first)
    const hasAim = Object.entries(AIM_CELL).every(([name, value]) => cell[name as keyof Cell] === value)
    if (aim === undefined || !hasAim || base === undefined) return []
    return series
      .filter(({ variant, rounds }) => VARIANTS[variant].hasAim && rounds.length > 0)
      .map(one => {
        const time = ratio(one, base, 'threadUs')
        const rate = ratio(one, base, 'messagesPerSecond')
        return (
          `${VARIANTS[one.variant].title}, ${cellTitle(cell)}: thread × ${ratioText(time)}, aim at most ${aim.threadUs}: ${time <= aim.threadUs ? 'reached' : 'missed'}; ` +
          `messages/s × ${ratioText(rate)}, aim at least ${aim.messagesPerSecond}: ${rate >= aim.messagesPerSecond ? 'reached' : 'missed'}`
        )
      })
  })
}

/** Returns failures, and duplicate or reordered messages, which are not losses. */
export function anomalies(results: readonly CellResult[]): string[] {
  return results.flatMap(({ cell, series }) =>
    series.flatMap(({ variant, rounds, failed }) => {
      const sum = (measure: 'duplicates' | 'disordered'): number =>
        rounds.reduce((all, round) => all + round[measure], 0)
      const what = [
        ...(failed === undefined
          ? []
          : [
              `failed ${rounds.length === 0 ? 'at start or in the first round' : `in round ${rounds.length + 1}`}: ${failed}`
            ]),
        ...(sum('duplicates') === 0 ? [] : [`${sum('duplicates')} duplicate messages`]),
        ...(sum('disordered') === 0 ? [] : [`${sum('disordered')} messages out of order`])
      ]
      return what.map(text => `${VARIANTS[variant].title}, ${cellTitle(cell)}: ${text}`)
    })
  )
}

function medianOf(values: readonly number[]): number {
  return values.length === 0 ? NaN : percentile(values, 50)
}

function microseconds(value: number): string {
  return Number.isNaN(value) ? '-' : value.toFixed(1)
}

function count(value: number): string {
  return Number.isNaN(value) ? '-' : Number(value.toPrecision(3)).toLocaleString('en')
}

function ratioText(value: number): string {
  return Number.isNaN(value) ? '-' : value.toFixed(2)
}
