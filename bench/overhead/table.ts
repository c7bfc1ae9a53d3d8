// The results as a table in Markdown, and where an aim is reached or missed.

import { percentile } from '../../models/statistics.js'
import { cellTitle, type Cell } from './cells.js'
import type { CellResult, Round, Series } from './measurement.js'
import { VARIANTS } from './variants.js'

/** What is compared. */
type Measure = 'threadUs' | 'processUs' | 'messagesPerSecond'

/**
 * By QoS, for raw sockets, clean sessions and the large window, as shares of the first variant's: the thread's time at
 * most, messages a second at least.
 */
const AIMS: Readonly<Record<number, { threadUs: number; messagesPerSecond: number } | undefined>> = {
  0: { threadUs: 0.6, messagesPerSecond: 1.4 },
  1: { threadUs: 1, messagesPerSecond: 1 }
}
const AIMED: Readonly<Partial<Cell>> = { load: 'raw', session: 'clean', window: 1_000 }

/** The middle of the rounds; NaN where there are none. */
export function median({ rounds }: Series, measure: Measure): number {
  return middle(rounds.map(round => round[measure]))
}

/** The middle of the ratios to another series, each to that of the same round. */
export function ratio({ rounds }: Series, base: Series | undefined, measure: Measure): number {
  return middle(
    rounds.flatMap((round, i) => {
      const other: Round | undefined = base?.rounds[i]
      return other === undefined ? [] : [round[measure] / other[measure]]
    })
  )
}

/** All cells and brokers. */
export function resultTable(results: readonly CellResult[], first: string): string {
  const head = ['load', 'broker', 'thread, us', '×', 'process, us', '×', 'messages/s', '×', 'load, % of a core']
  const rows = results.flatMap(({ cell, series }) => {
    const base = series.find(({ variant }) => variant === first)
    return series.map(one => [
      cellTitle(cell),
      VARIANTS[one.variant].title,
      ...(one.failed !== undefined && one.rounds.length === 0
        ? ['failed', '', '', '', '', '', '']
        : [
            microseconds(median(one, 'threadUs')),
            times(ratio(one, base, 'threadUs')),
            microseconds(median(one, 'processUs')),
            times(ratio(one, base, 'processUs')),
            count(median(one, 'messagesPerSecond')),
            times(ratio(one, base, 'messagesPerSecond')),
            count(middle(one.rounds.map(({ loadSeconds, seconds }) => (loadSeconds / seconds) * 100)))
          ])
    ])
  })
  return [head, head.map((_, i) => (i < 2 ? '---' : '---:')), ...rows]
    .map(cells => `| ${cells.join(' | ')} |`)
    .join('\n')
}

/** A line for each aim that was measured. */
export function aimLines(results: readonly CellResult[], first: string): string[] {
  return results.flatMap(({ cell, series }) => {
    const aim = AIMS[cell.qos]
    const base = series.find(({ variant }) => variant === first)
    const isAimed = Object.entries(AIMED).every(([name, value]) => cell[name as keyof Cell] === value)
    if (aim === undefined || !isAimed || base === undefined) return []
    return series
      .filter(({ variant, rounds }) => VARIANTS[variant].isAimed && rounds.length > 0)
      .map(one => {
        const time = ratio(one, base, 'threadUs')
        const rate = ratio(one, base, 'messagesPerSecond')
        return (
          `${VARIANTS[one.variant].title}, ${cellTitle(cell)}: thread × ${times(time)}, at most ${aim.threadUs} aimed at: ${time <= aim.threadUs ? 'reached' : 'missed'}; ` +
          `messages/s × ${times(rate)}, at least ${aim.messagesPerSecond}: ${rate >= aim.messagesPerSecond ? 'reached' : 'missed'}`
        )
      })
  })
}

/** What went wrong, and messages that came twice or late, which are no losses. */
export function oddities(results: readonly CellResult[]): string[] {
  return results.flatMap(({ cell, series }) =>
    series.flatMap(({ variant, rounds, failed }) => {
      const sum = (measure: 'duplicates' | 'disordered'): number =>
        rounds.reduce((all, round) => all + round[measure], 0)
      const what = [
        ...(failed === undefined
          ? []
          : [
              `failed ${rounds.length === 0 ? 'at its start or in the first round' : `in round ${rounds.length + 1}`}: ${failed}`
            ]),
        ...(sum('duplicates') === 0 ? [] : [`${sum('duplicates')} messages came twice`]),
        ...(sum('disordered') === 0 ? [] : [`${sum('disordered')} messages came after later ones`])
      ]
      return what.map(text => `${VARIANTS[variant].title}, ${cellTitle(cell)}: ${text}`)
    })
  )
}

function middle(values: readonly number[]): number {
  return values.length === 0 ? NaN : percentile(values, 50)
}

function microseconds(value: number): string {
  return Number.isNaN(value) ? '-' : value.toFixed(1)
}

function count(value: number): string {
  return Number.isNaN(value) ? '-' : Number(value.toPrecision(3)).toLocaleString('en')
}

function times(value: number): string {
  return Number.isNaN(value) ? '-' : value.toFixed(2)
}
