// The trained model that the project ships for its tests, with the card that says what it is.

import { mkdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Expert } from '../../src/scoring/expert.js'
import type { GuardModel } from '../../src/scoring/guard-model.js'
import type { Panel } from '../../src/scoring/panel.js'
import { DEFAULTS } from '../../src/settings.js'
import { attackRow, table } from './report.js'
import type { DetectionResults } from './results.js'
import { runLine } from './run.js'

/** Name of the model, its file and its card. */
export const TRAINED_MODEL = 'home'

/** Writes the model and its card; gives the model as its file holds it. */
export async function saveTrainedModel(
  folder: string,
  model: GuardModel,
  results: DetectionResults
): Promise<GuardModel> {
  await mkdir(folder, { recursive: true })
  const path = join(folder, `${TRAINED_MODEL}.json`)
  const saved = await model.save(path)
  await writeFile(join(folder, `${TRAINED_MODEL}.md`), card(saved, results, (await stat(path)).size))
  return saved
}

/** The experts of a panel, in their order. */
function panelRows(what: string, panel: Panel | undefined): (readonly [string, Expert])[] {
  const aspects = ['the record itself', 'its connection', 'its address']
  return (panel?.experts ?? []).map(
    (expert, i, { length }) => [length === aspects.length ? `${what}: ${aspects[i]}` : what, expert] as const
  )
}

function card(saved: GuardModel, { model, run, captures, attacks }: DetectionResults, bytes: number): string {
  const { experts, baselines } = saved
  const benign = captures.filter(({ name }) => model.captures.includes(name))
  const expertRows = [
    ...panelRows('frames', experts.wire),
    ...panelRows('packets, where there is no tap', experts.broker),
    ...(experts.messages === undefined ? [] : [['payloads', experts.messages] as const])
  ]
  const limit = (value: number): string => value.toPrecision(3)
  return [
    `# ${TRAINED_MODEL}`,
    '',
    `What the broker's default makes of households: \`${TRAINED_MODEL}.json\`, ${Math.round(bytes / 1_000)} kB, as \`artemis train\` writes models. Made by`,
    '`npm run bench:detection -- --refresh` together with the figures; not edited by hand.',
    '',
    `SHA-256 of its content: \`${saved.digest}\``,
    '',
    '## Data',
    '',
    `Benign traffic of the lab only (docs/lab.md): \`npm run lab -- --attack none --minutes ${Math.round((benign[0]?.seconds ?? 0) / 60)} --seed ${benign.map(({ seed }) => seed).join()}\`. Of the ${model.records} frames of`,
    `TCP ports 1883 and 8883, ${model.taken} were learnt from, evenly over all; the limits of the alerts come from all of them.`,
    '',
    ...table(
      ['capture', 'made', 'seconds', 'frames', 'devices'],
      benign.map(({ name, made, seconds, frames, devices }) => [
        name,
        made.slice(0, 10),
        String(seconds),
        String(frames),
        String(devices)
      ])
    ),
    '',
    '## Settings',
    '',
    `Detector \`${model.detector}\` with ${JSON.stringify(model.parameters)}, contamination ${DEFAULTS.detector.contamination}, seed ${DEFAULTS.detector.seed}, preset \`${model.features}\` (docs/features.md).`,
    '',
    ...table(
      ['expert', 'rows', 'columns', 'SHA-256 of its rows'],
      expertRows.map(([what, { training, encoding }]) => [
        what,
        String(training.rows),
        String(encoding.columns.length),
        `\`${training.digest.slice(0, 16)}\``
      ])
    ),
    '',
    `Limits of the alerts: gateway jump ${limit(baselines.gateway.limits.jump)}, level ${limit(baselines.gateway.limits.level)}, CUSUM ${limit(baselines.gateway.limits.cusum)}; client jump ${limit(baselines.client.limits.jump)}, level ${limit(baselines.client.limits.level)}, CUSUM ${limit(baselines.client.limits.cusum)}.`,
    '',
    '## Figures',
    '',
    'Per frame, on attacks on a household that it has not seen; labels by message. More in bench/results/detection.md.',
    '',
    ...table(['attack', 'frames', 'ROC AUC', 'recall at 1 % FPR', 'target'], attacks.map(attackRow)),
    '',
    `${runLine(run)}.`,
    '',
    '## Who uses it',
    '',
    'test/bench/detection.test.ts, so that the figures do not slip. It serves for trying, too:',
    '',
    '```',
    `artemis evaluate capture.pcap --labels labels.csv --model models/trained/${TRAINED_MODEL}.json`,
    `artemis replay capture.pcap --model models/trained/${TRAINED_MODEL}.json`,
    '```',
    '',
    'The demo (`npm run demo`) does not: it shows a broker that learns in place, as a broker should.',
    '',
    '## Limits',
    '',
    '- Of made-up households: Linux TCP, Ethernet, an ordinary MTU, traffic on ports 1883 and 8883. On loopback, frames are larger than any it knows.',
    '- What is usual on a topic it knows for the topics of the lab; elsewhere a payload is judged by all payloads together.',
    '- Five minutes of each household: no nights, no updates, no visitors.',
    "- The limits of the alerts are those of the lab's rates. A house's own broker does better to learn for itself, which it does unless told otherwise.",
    ''
  ].join('\n')
}
