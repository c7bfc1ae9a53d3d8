// Plots an evaluation as SVG: ROC curves and a histogram of the scores.

import { rocCurve, type Evaluation } from '../../models/index.js'
import { percentile } from '../../models/statistics.js'
import type { Label } from '../labels/label.js'
import { printable } from '../terminal/printable.js'

/** Size of a panel's plot area and its margins, in user units. */
const AREA = { width: 380, height: 330, left: 64, top: 56, between: 96, right: 28, bottom: 56 }
const WIDTH = AREA.left + 2 * AREA.width + AREA.between + AREA.right
const HEIGHT = AREA.top + AREA.height + AREA.bottom

const BENIGN_COLOUR = '#4477aa'
const ATTACK_COLOUR = '#cc3311'
/** Colour-blind safe (Tol's vibrant scheme). */
const LABEL_COLOURS = ['#ee7733', '#009988', '#33bbee', '#ee3377', '#997700']
const BINS = 48
/** Maximum number of points of a curve. */
const CURVE_POINTS = 400
const MAX_NAME_LENGTH = 24

/** Converts data to user units along one axis. */
type Scale = (value: number) => number

/**
 * Draws both panels.
 * @param names the attack of each row; null for benign rows
 */
export function evaluationPlot(
  detector: string,
  names: readonly Label[],
  scores: readonly number[],
  figures: Evaluation
): string {
  const { rows, attackRows } = figures
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" font-family="Helvetica, Arial, sans-serif" font-size="12" fill="#333">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    text(AREA.left, 24, `${detector}: ${rows} rows, ${attackRows} attack rows`, 'font-size="15" font-weight="bold"'),
    `<g transform="translate(${AREA.left} ${AREA.top})">`,
    ...rocPanel(names, scores, figures),
    '</g>',
    `<g transform="translate(${AREA.left + AREA.width + AREA.between} ${AREA.top})">`,
    ...histogramPanel(names, scores, figures),
    '</g>',
    '</svg>',
    ''
  ].join('\n')
}

function rocPanel(names: readonly Label[], scores: readonly number[], figures: Evaluation): string[] {
  const x: Scale = value => value * AREA.width
  const y: Scale = value => (1 - value) * AREA.height
  const ticks = [0, 0.2, 0.4, 0.6, 0.8, 1]
  const panel = frame(
    'False-positive rate',
    'True-positive rate',
    ticks.map(tick => [x(tick), String(tick)]),
    ticks.map(tick => [y(tick), String(tick)])
  )
  panel.push(`<path d="M0 ${AREA.height}L${AREA.width} 0" stroke="#aaa" stroke-dasharray="4 4"/>`)
  if (Number.isNaN(figures.rocAuc))
    return [...panel, text(x(0.5), y(0.5), 'no curve: needs both attack and benign rows', 'text-anchor="middle"')]
  const labels = Object.entries(figures.perLabel)
  const shown = labels.length > 1 ? labels.slice(0, LABEL_COLOURS.length) : []
  const curves = [
    ...shown.map(([name, { rocAuc }], i) => ({ name, rocAuc, colour: LABEL_COLOURS[i] ?? ATTACK_COLOUR, width: 1.5 })),
    { name: labels.length > 1 ? null : labels[0][0], rocAuc: figures.rocAuc, colour: ATTACK_COLOUR, width: 2.5 }
  ]
  for (const { name, colour, width } of curves) {
    const chosen = [...names.keys()].filter(i => name === null || names[i] === null || names[i] === name)
    const curve = rocCurve(
      chosen.map(i => Number(names[i] !== null)),
      chosen.map(i => scores[i])
    )
    const points = thinned(curve.map(point => [x(point.falsePositiveRate), y(point.truePositiveRate)]))
    panel.push(
      `<path d="M${points.join('L')}" fill="none" stroke="${colour}" stroke-width="${width}" stroke-linejoin="round"/>`
    )
  }
  const lines = [...curves.slice(-1), ...curves.slice(0, -1)].map(({ name, rocAuc, colour }) => ({
    colour,
    words: `${name === null ? 'all attacks' : printable(name, MAX_NAME_LENGTH)}: AUC ${rocAuc.toFixed(4)}`
  }))
  if (labels.length > Math.max(1, shown.length))
    lines.push({ colour: 'none', words: `and ${labels.length - shown.length} more labels` })
  return [...panel, ...legend(lines, AREA.width - 190, AREA.height - 14 - 18 * lines.length)]
}

/** Draws both histograms as shares of their own rows. Outliers are counted in the outermost bars. */
function histogramPanel(names: readonly Label[], scores: readonly number[], { threshold }: Evaluation): string[] {
  const low = Math.min(percentile(scores, 0.5), threshold)
  const high = Math.max(percentile(scores, 99.5), threshold)
  const margin = (high - low || 1) * 0.04
  const [from, to] = [low - margin, high + margin]
  const x: Scale = value => ((value - from) / (to - from)) * AREA.width
  const groups = [
    {
      words: 'benign',
      colour: BENIGN_COLOUR,
      bars: shares(
        scores.filter((_, i) => names[i] === null),
        from,
        to
      )
    },
    {
      words: 'attacks',
      colour: ATTACK_COLOUR,
      bars: shares(
        scores.filter((_, i) => names[i] !== null),
        from,
        to
      )
    }
  ].filter(({ bars }) => bars.some(bar => bar > 0))
  const highest = Math.max(...groups.flatMap(({ bars }) => bars))
  const y: Scale = value => (1 - value / (highest * 1.05)) * AREA.height
  const step = roundStep(highest / 5)
  const shareTicks = Array.from({ length: Math.floor(highest / step) + 1 }, (_, i) => i * step)
  const scoreStep = roundStep((to - from) / 5)
  const scoreTicks = Array.from({ length: 8 }, (_, i) => (Math.ceil(from / scoreStep) + i) * scoreStep).filter(
    tick => tick <= to
  )
  const panel = frame(
    'Score',
    'Share of rows',
    scoreTicks.map(tick => [x(tick), tidy(tick)]),
    shareTicks.map(tick => [y(tick), `${tidy(tick * 100)} %`])
  )
  const barWidth = AREA.width / BINS
  for (const { colour, bars } of groups) {
    const steps = bars.map(
      (bar, i) => `${round(i * barWidth)} ${round(y(bar))}L${round((i + 1) * barWidth)} ${round(y(bar))}`
    )
    panel.push(
      `<path d="M0 ${AREA.height}L${steps.join('L')}L${AREA.width} ${AREA.height}Z" fill="${colour}" fill-opacity="0.35" stroke="${colour}"/>`
    )
  }
  panel.push(`<path d="M${round(x(threshold))} 0V${AREA.height}" stroke="#333" stroke-dasharray="5 3"/>`)
  // Above the plot, so that it covers no bars.
  const entries = [...groups, { words: `threshold ${tidy(threshold)}`, colour: '#333' }]
  return [...panel, ...entries.flatMap((entry, i) => legend([entry], 90 * i, -14))]
}

/** Returns the share of the values in each bin. */
function shares(values: readonly number[], from: number, to: number): number[] {
  const counts = new Array<number>(BINS).fill(0)
  for (const value of values)
    counts[Math.max(0, Math.min(BINS - 1, Math.floor(((value - from) / (to - from)) * BINS)))]++
  return counts.map(count => (values.length === 0 ? 0 : count / values.length))
}

function frame(xName: string, yName: string, xTicks: [number, string][], yTicks: [number, string][]): string[] {
  return [
    ...yTicks.map(
      ([at, words]) =>
        `<path d="M0 ${round(at)}H${AREA.width}" stroke="#e6e6e6"/>${text(-8, at + 4, words, 'text-anchor="end"')}`
    ),
    ...xTicks.map(
      ([at, words]) =>
        `<path d="M${round(at)} ${AREA.height}v5" stroke="#333"/>${text(at, AREA.height + 20, words, 'text-anchor="middle"')}`
    ),
    `<path d="M0 0V${AREA.height}H${AREA.width}" fill="none" stroke="#333"/>`,
    text(AREA.width / 2, AREA.height + 42, xName, 'text-anchor="middle"'),
    text(0, 0, yName, `text-anchor="middle" transform="translate(-46 ${AREA.height / 2}) rotate(-90)"`)
  ]
}

function legend(lines: readonly { words: string; colour: string }[], left: number, top: number): string[] {
  return lines.flatMap(({ words, colour }, i) => [
    `<path d="M${left} ${top + 18 * i}h16" stroke="${colour}" stroke-width="3"/>`,
    text(left + 22, top + 18 * i + 4, words)
  ])
}

function text(x: number, y: number, words: string, more = ''): string {
  const escaped = words.replace(/[&<>"]/g, character => `&#${character.charCodeAt(0)};`)
  return `<text x="${round(x)}" y="${round(y)}"${more === '' ? '' : ` ${more}`}>${escaped}</text>`
}

/** Reduces the points to at most `CURVE_POINTS` and formats them. */
function thinned(points: readonly (readonly [number, number])[]): string[] {
  const every = Math.max(1, points.length / CURVE_POINTS)
  const kept = points.filter((_, i) => i === points.length - 1 || Math.floor(i / every) > Math.floor((i - 1) / every))
  return kept.map(([x, y]) => `${round(x)} ${round(y)}`)
}

/** Rounds up to 1, 2 or 5 times a power of ten. */
function roundStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step))
  return power * ([1, 2, 5].find(factor => factor * power >= step) ?? 10)
}

function tidy(value: number): string {
  return String(Number(value.toPrecision(3)))
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
