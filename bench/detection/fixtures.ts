// Small captures for a test that holds the figures, and the figures that it holds.

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { recallAtFpr, rocAuc } from '../../models/index.js'
import type { GuardModel } from '../../src/scoring/guard-model.js'
import { frameTable, judgeFile, recordsOf } from './captures.js'
import { cutCapture, type CutOptions } from './cut.js'
import { fitModel } from './training.js'

/** Name of the file that holds the figures. */
export const FLOORS_FILE = 'floors.json'

/** Figures of one small capture. */
export interface FixtureFigures {
  auc: number
  /** At 1 % and at 5 % false positives: of so few frames a handful makes the first. */
  recall: number
  recallAt5: number
}

/** What the test holds: by the trained model, and by the default learnt from the small benign capture. */
export interface Floors {
  made: string
  /** Name of the benign capture. */
  benign: string
  /** By the name of the capture. */
  trained: Record<string, FixtureFigures>
  learnt: Record<string, FixtureFigures>
}

/** More devices for a shorter time tell a household better than few for long. */
const BENIGN: CutOptions = { perKind: 2, attackers: 0, mostFrames: 10_000, mostAttackFrames: Infinity }
const ATTACK: CutOptions = { perKind: 1, attackers: 2, mostFrames: Infinity, mostAttackFrames: 1_200 }
/** A flood's frames are large, and soon many. */
const FLOOD: CutOptions = { perKind: 2, attackers: 1, mostFrames: Infinity, mostAttackFrames: 250 }
/** What victims must do because of an attacker that is left out would be there without its cause. */
const TAKEOVER: CutOptions = { ...ATTACK, attackers: Infinity }
const ATTACKS: Readonly<Record<string, CutOptions>> = {
  malaria: FLOOD,
  'port-scan': ATTACK,
  retained: ATTACK,
  slowite: ATTACK,
  takeover: TAKEOVER
}

/** Judges each small capture of an attack with the trained model and with what is learnt from the small benign one. */
export async function judgeFixtures(
  folder: string,
  benign: string,
  attacks: readonly string[],
  trained: GuardModel
): Promise<Pick<Floors, 'trained' | 'learnt'>> {
  const learnt = await fitModel(await recordsOf([join(folder, `${benign}.pcap.gz`)]))
  const floors: Pick<Floors, 'trained' | 'learnt'> = { trained: {}, learnt: {} }
  for (const name of attacks) {
    const labels = await frameTable(join(folder, `${name}.labels.csv`))
    const attack: number[] = []
    const scores: [number[], number[]] = [[], []]
    await judgeFile(join(folder, `${name}.pcap.gz`), [trained, learnt], ({ frame }, ofModels) => {
      attack.push(Number(labels.has(frame ?? 0)))
      ofModels.forEach((score, m) => {
        scores[m].push(score)
      })
    })
    const [ofTrained, ofLearnt] = scores.map((each): FixtureFigures => ({
      auc: rocAuc(attack, each),
      recall: recallAtFpr(attack, each, 0.01),
      recallAt5: recallAtFpr(attack, each, 0.05)
    }))
    floors.trained[name] = ofTrained
    floors.learnt[name] = ofLearnt
  }
  return floors
}

/** What an earlier refresh wrote. */
export async function readFloors(folder: string): Promise<Floors> {
  return JSON.parse(await readFile(join(folder, FLOORS_FILE), 'utf8')) as Floors
}

/**
 * Cuts the small captures out of the large ones and writes down their figures.
 *
 * @param say is told what fell
 */
export async function refreshFixtures(
  captures: string,
  folder: string,
  { trainSeed, seed }: { trainSeed: number; seed: number },
  trained: GuardModel,
  say: (text: string) => void
): Promise<void> {
  const before = await readFloors(folder).catch(() => undefined)
  // Those of another seed are of no use any more.
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  const benign = `benign-s${trainSeed}`
  const names = Object.entries(ATTACKS).map(([attack, options]) => ({ name: `${attack}-s${seed}`, options }))
  for (const { name, options } of [{ name: benign, options: BENIGN }, ...names]) {
    const { frames, attack, bytes } = await cutCapture(captures, name, folder, options)
    say(`${name}.pcap.gz: ${frames} frames, ${attack} of the attack, ${Math.round(bytes / 1_000)} kB`)
  }
  const figures = await judgeFixtures(
    folder,
    benign,
    names.map(({ name }) => name),
    trained
  )
  for (const by of ['trained', 'learnt'] as const) {
    for (const [name, now] of Object.entries(figures[by])) {
      const then = before?.[by][name]
      say(
        `${by} ${name}: AUC ${now.auc.toFixed(4)}, recall ${now.recall.toFixed(3)}${then === undefined ? '' : ` (before: ${then.auc.toFixed(4)}, ${then.recall.toFixed(3)}${now.auc < then.auc - 0.001 ? ', FELL' : ''})`}`
      )
    }
  }
  const rounded = JSON.stringify(
    { made: new Date().toISOString().slice(0, 10), benign, ...figures },
    (_name, value: unknown) => (typeof value === 'number' ? Number(value.toFixed(4)) : value),
    2
  )
  await writeFile(join(folder, FLOORS_FILE), `${rounded}\n`)
}
