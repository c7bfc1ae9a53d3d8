// npm run bench:ablation: what each group of columns adds, attack by attack.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { recallAtFpr, rocAuc } from '../../models/index.js'
import { columnsOf } from '../../src/features/columns.js'
import { GuardModel } from '../../src/scoring/guard-model.js'
import { DEFAULTS, SHIPPED_PARAMETERS } from '../../src/settings.js'
import { evenly, judgeLab, recordsOf } from '../detection/captures.js'

const { values: options } = parseArgs({
  options: {
    captures: { type: 'string' }, train: { type: 'string', default: 'benign-s3' }, seed: { type: 'string', default: '1' },
    attacks: { type: 'string', default: 'malaria-40,brute-force,slowite,fuzz,topic-scan,qos2-exhaustion,takeover,exfiltration,port-scan' },
    records: { type: 'string', default: '20000' }, out: { type: 'string', default: 'bench/results/ablation.md' }
  }
})
if (options.captures === undefined) throw new Error('--captures DIR: captures that "npm run lab" wrote')

const behaviour = columnsOf('behaviour', 'wire')
const without = (prefix: string): string => behaviour.filter(name => !name.startsWith(prefix)).join()
const CHOICES: readonly (readonly [name: string, features: string])[] = [
  ['`behaviour`', 'behaviour'],
  ['without payloads', without('payload_')],
  ['without the frame\'s own (`frame_`)', without('frame_')],
  ['without the connection\'s (`conn_`)', without('conn_')],
  ['without the address\'s (`addr_`)', without('addr_')],
  ['without the client id\'s (`client_`)', without('client_')],
  ['with window and ttl', [...behaviour, 'tcp_w_size', 'ttl'].join()],
  ['with times (`tcp_delta`, `l20_avg`)', [...behaviour, 'tcp_delta', 'l20_avg'].join()],
  ['with addresses and ports', [...behaviour, 'src_ip', 'dst_ip', 'tcp_src_port', 'tcp_dst_port'].join()],
  ['Table I without addresses and ports', 'table1-no-identity']
]

const { captures, train, seed, attacks } = options
const { kind, contamination } = DEFAULTS.detector
const records = evenly(await recordsOf([join(captures, `${train}.pcap`)]), Number(options.records))
const models: GuardModel[] = []
for (const [name, features] of CHOICES) {
  process.stderr.write(`learning ${name}\n`)
  models.push(await GuardModel.fit(records, { kind, contamination, seed: DEFAULTS.detector.seed, features, parameters: SHIPPED_PARAMETERS }))
}
const names = attacks.split(',')
const rows = CHOICES.map(([name]) => [name])
for (const name of names) {
  process.stderr.write(`judging ${name}\n`)
  const judged = await judgeLab(captures, `${name}-s${seed}`, models)
  judged.models.forEach(({ scores }, m) => { rows[m].push(`${rocAuc(judged.attack, scores).toFixed(4)} / ${recallAtFpr(judged.attack, scores, 0.01).toFixed(3)}`) })
}
const text = [
  '# What each group of columns adds', '',
  `ROC AUC per frame / recall at 1 % false positives. \`${kind}\`, trained on ${records.length} frames of ${train}, judged on the captures of seed ${seed}`,
  '(the ones for tuning, not those of the final figures). The columns are described in docs/features.md.', '',
  `| columns | ${names.join(' | ')} |`, `|---|${names.map(() => '---').join('|')}|`,
  ...rows.map(row => `| ${row.join(' | ')} |`), ''
].join('\n')
await writeFile(options.out, text)
process.stdout.write(text)
