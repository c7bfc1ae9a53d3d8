// The figures as tables.

import { distance, wantedOf, type AttackFigures, type Figures } from './figures.js'
import type { DetectionResults, PublicResults } from './results.js'
import { runLine } from './run.js'

const MQTTSET_WANTED = { auc: 0.99, recall: 0 }

/** A figure of ROC, `-` where there is none. */
export function aucText(value: number): string {
  return Number.isNaN(value) ? '-' : value.toFixed(4)
}

/** A share, `-` where there is none. */
export function shareText(value: number): string {
  return Number.isNaN(value) ? '-' : value.toFixed(3)
}

/** A table of Markdown. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return [head, head.map(() => '---'), ...rows].map(row => `| ${row.join(' | ')} |`)
}

/** The row of an attack in the first table. */
export function attackRow(figures: AttackFigures): string[] {
  const { attack, frames, judged, auc, recall } = figures
  return [attack, `${frames} of ${judged}`, aucText(auc), shareText(recall), distance(figures, wantedOf(attack))]
}

/** The report. */
export function report(results: DetectionResults): string {
  const { run, model, captures, attacks, mqttset, dad } = results
  return [
    '# Detection',
    '',
    `Figures per frame of what the broker ships: detector \`${model.detector}\` with ${JSON.stringify(model.parameters)}, preset \`${model.features}\` (no addresses, ports,`,
    'window, ttl, header lengths or times between frames), learnt from benign traffic only. What falls short, and what was tried, stands in',
    'docs/features.md. The same figures in full: `detection.json`.',
    '',
    `${runLine(run)} to learn and to judge. The captures took ${Math.round(captures.reduce((sum, { took }) => sum + took, 0) / 60)} minutes to make; they are kept and used again.`,
    '',
    ...labPart(results),
    ...publicPart(
      'MQTTset',
      '--mqttset',
      'attack',
      'Trained on the first 70 % of the benign capture, tested on its rest and each attack.',
      mqttset,
      figures => distance(figures, MQTTSET_WANTED)
    ),
    ...publicPart('DAD', '--dad', 'day', 'Trained on Monday, without addresses and ports.', dad),
    '## Captures',
    '',
    ...table(
      ['capture', 'made', 'seconds', 'frames', 'of the attack', 'of newcomers', 'lost by tcpdump'],
      captures.map(({ name, made, seconds, frames, attack, newcomer, dropped }) => [
        name,
        made.slice(0, 10),
        String(seconds),
        String(frames),
        String(attack),
        String(newcomer),
        String(dropped)
      ])
    ),
    '',
    `${attacks.length} attacks; these counts are of all TCP ports, the figures above of 1883 and 8883.`,
    ''
  ].join('\n')
}

function labPart({ model, attacks }: DetectionResults): string[] {
  const pair = ({ auc, recall }: Figures): string =>
    Number.isNaN(auc) ? '-' : `${aucText(auc)} / ${shareText(recall)}`
  return [
    '## The lab',
    '',
    `Trained on ${model.captures.join(', ')}: ${model.taken} of their ${model.records} frames, evenly over all, in ${model.seconds.toFixed(0)} s. The attacks are on a household`,
    "that was not learnt from; an attack's frames are told from the benign ones of the same capture.",
    '',
    'Labels by message: a frame is of the attack where it would not be there without it (docs/lab.md).',
    '',
    ...table(['attack', 'frames', 'ROC AUC', 'recall at 1 % FPR', 'target'], attacks.map(attackRow)),
    '',
    '### By who sent it, and against newcomers',
    '',
    "ROC AUC / recall at 1 % false positives of a part of the attack's frames against the same benign frames. Where an attacker takes client",
    "ids, the last frames of those who lose them are in the two columns in the middle. The last column has attackers' frames, both ways, against those of",
    'benign newcomers only: who merely tells new from old has .5 there.',
    '',
    ...table(
      [
        'attack',
        'attacker to broker',
        'broker to attacker',
        'broker to others',
        'others to broker',
        'both ways against newcomers'
      ],
      attacks.map(({ attack, parts, newcomers }) => [
        attack,
        pair(parts.attacker),
        pair(parts.toAttacker),
        pair(parts.forwarded),
        pair(parts.receivers),
        pair(newcomers)
      ])
    ),
    '',
    '### By address',
    '',
    'Labels by address: frames to and from attackers, as in the paper. What the broker forwards of an attack, and who acknowledges it, counts as benign.',
    '',
    ...table(
      ['attack', 'frames by message', 'frames by address', 'by message', 'by address'],
      attacks.map(figures => [
        figures.attack,
        String(figures.frames),
        String(figures.byAddress.frames),
        pair(figures),
        pair(figures.byAddress)
      ])
    ),
    ''
  ]
}

function publicPart(
  title: string,
  flag: string,
  what: string,
  setting: string,
  results: PublicResults | undefined,
  targetOf?: (figures: Figures) => string
): string[] {
  if (results === undefined)
    return [`## ${title}`, '', `Not judged: \`${flag} DIR\` names a folder of its captures.`, '']
  return [
    `## ${title}`,
    '',
    `${setting} ${runLine(results.run)}.`,
    '',
    ...table(
      [what, 'frames', 'ROC AUC', 'recall at 1 % FPR', ...(targetOf === undefined ? [] : ['target'])],
      results.figures.map(figures => [
        figures.name,
        `${figures.frames} of ${figures.judged}`,
        aucText(figures.auc),
        shareText(figures.recall),
        ...(targetOf === undefined ? [] : [targetOf(figures)])
      ])
    ),
    ''
  ]
}
