// Small captures for the regression test of the detection figures, and the floors that the test enforces.

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { recallAtFpr, rocAuc } from '../../models/index.js'
import type { GuardModel } from '../../src/scoring/guard-model.js'
import { frameTable, scoreFile, recordsOf } from './captures.js'
import { cutCapture, type CutOptions } from './cut.js'
import { fitModel } from './training.js'

export const FLOORS_FILE = 'floors.json'

/** Figures of one small capture. */
export interface FixtureFigures {
  auc: number
  /** Recall at 1 % and at 5 % false positives. With so few frames, a handful decides the first. */
  recall: number
  recallAt5: number
}

/** Figures that the test enforces: of the trained model, and of the default trained on the small benign capture. */
export interface Floors {
  made: string
  /** Name of the benign capture. */
  benign: string
  /** By capture name. */
  trained: Record<string, FixtureFigures>
  learnt: Record<string, FixtureFigures>
}

/** More devices for a shorter time represent a household better than few devices for longer. */
const BENIGN: CutOptions = { perKind: 2, attackers: 0, maxFrames: 10_000, maxAttackFrames: Infinity }
const ATTACK: CutOptions = { perKind: 1, attackers: 2, maxFrames: Infinity, maxAttackFrames: 1_200 }
/** A flood soon has many large frames. */
const FLOOD: CutOptions = { perKind: 2, attackers: 1, maxFrames: Infinity, maxAttackFrames: 250 }
/** Keep all attackers: otherwise the reaction of the victims would have no cause in the capture. */
const TAKEOVER: CutOptions = { ...ATTACK, attackers: Infinity }
const ATTACKS: Readonly<Record<string, CutOptions>> = {
  malaria: FLOOD,
  'port-scan': ATTACK,
  retained: ATTACK,
  slowite: ATTACK,
  takeover: TAKEOVER
}

/** Scores each small attack capture with the trained model and with a model trained on the small benign capture. */
export async function scoreFixtures(
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
    await scoreFile(join(folder, `${name}.pcap.gz`), [trained, learnt], ({ frame }, ofModels) => {
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

/** Reads the floors that an earlier refresh wrote. */
export async function readFloors(folder: string): Promise<Floors> {
  return JSON.parse(await readFile(join(folder, FLOORS_FILE), 'utf8')) as Floors
}

/**
 * Cuts the small captures out of the large ones and writes their figures.
 *
 * @param print reports figures that dropped
 */
export async function refreshFixtures(
  captures: string,
  folder: string,
  { trainSeed, seed }: { trainSeed: number; seed: number },
  trained: GuardModel,
  print: (text: string) => void
): Promise<void> {
  const before = await readFloors(folder).catch(() => undefined)
  // Captures of another seed are obsolete.
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  const benign = `benign-s${trainSeed}`
  const names = Object.entries(ATTACKS).map(([attack, options]) => ({ name: `${attack}-s${seed}`, options }))
  for (const { name, options } of [{ name: benign, options: BENIGN }, ...names]) {
    const { frames, attack, bytes } = await cutCapture(captures, name, folder, options)
    print(`${name}.pcap.gz: ${frames} frames, ${attack} of the attack, ${Math.round(bytes / 1_000)} kB`)
  }
  const figures = await scoreFixtures(
    folder,
    benign,
    names.map(({ name }) => name),
    trained
  )
  for (const by of ['trained', 'learnt'] as const) {
    for (const [name, now] of Object.entries(figures[by])) {
      const then = before?.[by][name]
      print(
        `${by} ${name}: AUC ${now.auc.toFixed(4)}, recall ${now.recall.toFixed(3)}${then === undefined ? '' : ` (before: ${then.auc.toFixed(4)}, ${then.recall.toFixed(3)}${now.auc < then.auc - 0.001 ? ', DROPPED' : ''})`}`
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
