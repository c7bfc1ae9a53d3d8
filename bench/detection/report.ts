// Formats the detection figures in Markdown.

import { shortfall, targetOf, type AttackFigures, type Figures } from './figures.js'
import type { DetectionResults, PublicResults } from './results.js'
import { runLine } from './run.js'

const MQTTSET_TARGET = { auc: 0.99, recall: 0 }

/** Formats an AUC; `-` if NaN. */
export function aucText(value: number): string {
  return Number.isNaN(value) ? '-' : value.toFixed(4)
}

/** Formats a share; `-` if NaN. */
export function shareText(value: number): string {
  return Number.isNaN(value) ? '-' : value.toFixed(3)
}

/** Returns the lines of a Markdown table. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return [head, head.map(() => '---'), ...rows].map(row => `| ${row.join(' | ')} |`)
}

/** Returns the row of an attack in the first table. */
export function attackRow(figures: AttackFigures): string[] {
  const { attack, frames, judged, auc, recall } = figures
  return [attack, `${frames} of ${judged}`, aucText(auc), shareText(recall), shortfall(figures, targetOf(attack))]
}

/** Returns the report. */
export function report(results: DetectionResults): string {
  const { run, model, captures, attacks, mqttset, dad } = results
  return [
    '# Detection',
    '',
    `Figures per frame of the shipped default: detector \`${model.detector}\` with ${JSON.stringify(model.parameters)}, preset \`${model.features}\` (no addresses, ports,`,
    'window, ttl, header lengths or times between frames), trained on benign traffic only. docs/features.md lists missed targets and what',
    'was tried. All figures: `detection.json`.',
    '',
    `${runLine(run)} for training and scoring. The captures took ${Math.round(captures.reduce((sum, { took }) => sum + took, 0) / 60)} minutes to make; later runs reuse them.`,
    '',
    ...labPart(results),
    ...publicPart(
      'MQTTset',
      '--mqttset',
      'attack',
      'Trained on the first 70 % of the benign capture, tested on the rest and on each attack.',
      mqttset,
      figures => shortfall(figures, MQTTSET_TARGET)
    ),
    ...publicPart('DAD', '--dad', 'day', 'Trained on Monday, without addresses and ports.', dad),
    '## Captures',
    '',
    ...table(
      ['capture', 'made', 'seconds', 'frames', 'attack frames', 'newcomer frames', 'dropped by tcpdump'],
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
    `${attacks.length} attacks. These counts cover all TCP ports, the figures above only 1883 and 8883.`,
    ''
  ].join('\n')
}

function labPart({ model, attacks }: DetectionResults): string[] {
  const pair = ({ auc, recall }: Figures): string =>
    Number.isNaN(auc) ? '-' : `${aucText(auc)} / ${shareText(recall)}`
  return [
    '## The lab',
    '',
    `Trained on ${model.captures.join(', ')}: ${model.taken} of their ${model.records} frames, sampled evenly, in ${model.seconds.toFixed(0)} s. The attacks target a household`,
    'that was not used for training. Attack frames are compared with the benign frames of the same capture.',
    '',
    'Labels by message: an attack frame is a frame that the attack caused (docs/lab.md).',
    '',
    ...table(['attack', 'frames', 'ROC AUC', 'recall at 1 % FPR', 'target'], attacks.map(attackRow)),
    '',
    '### By sender, and against newcomers',
    '',
    'ROC AUC / recall at 1 % false positives of part of the attack frames against the same benign frames. If an attacker takes over client',
    "ids, the two middle columns include the last frames of the disconnected clients. The last column compares attackers' frames, both ways, with",
    'benign newcomers only: a detector that merely separates new clients from old ones gets .5 there.',
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
    'Labels by address: frames to and from attackers, as in the paper. Attack messages that the broker forwards, and their acknowledgements, count as benign.',
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
    return [`## ${title}`, '', `Not scored: run with \`${flag} DIR\`, a folder of its captures.`, '']
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
