// Public captures, if available: MQTTset and DAD.

import { join } from 'node:path'
import { recallAtFpr, rocAuc } from '../../models/index.js'
import { exists, frameTable, scoreFile, recordsOf } from './captures.js'
import type { Figures } from './figures.js'
import { fitModel } from './training.js'

/** Figures of one attack, or of one day. */
export interface PublicFigures extends Figures {
  name: string
  judged: number
}

/** Share of MQTTset's benign capture used for training; the rest is used for testing. */
const BENIGN_SHARE = 0.7
const MQTTSET_ATTACKS = ['bruteforce', 'flood', 'malariados', 'malformed', 'slowite']
/** Names of DAD's days in its file names. */
const DAD_DAYS = {
  monday: ['1910210000', 'mon'],
  wednesday: ['1910230000', 'wed'],
  thursday: ['1910240000', 'thu']
} as const

/** Figures for MQTTset: trained on the first part of the benign capture, tested on the rest and on each attack. */
export async function mqttsetFigures(
  folder: string,
  onFigures: (figures: PublicFigures) => void
): Promise<PublicFigures[]> {
  const file = async (name: string): Promise<string> => {
    for (const ending of ['.pcap', '.pcapng'])
      if (await exists(join(folder, `${name}-train${ending}`))) return join(folder, `${name}-train${ending}`)
    throw new Error(`${folder} has no ${name}-train.pcap`)
  }
  const benign = await file('benign-5mb')
  const records = await recordsOf([benign])
  const cut = Math.floor(records.length * BENIGN_SHARE)
  const model = await fitModel(records.slice(0, cut))
  const normal: number[] = []
  let seen = 0
  await scoreFile(benign, [model], (_record, [score]) => {
    if (seen++ >= cut) normal.push(score)
  })
  const all: PublicFigures[] = []
  for (const name of MQTTSET_ATTACKS) {
    const abnormal: number[] = []
    await scoreFile(await file(name), [model], (_record, [score]) => {
      abnormal.push(score)
    })
    all.push(figuresOf(name, [...normal.map(() => 0), ...abnormal.map(() => 1)], [...normal, ...abnormal]))
    onFigures(all[all.length - 1])
  }
  return all
}

/** Figures for DAD: trained on Monday, without addresses and ports. */
export async function dadFigures(
  folder: string,
  onFigures: (figures: PublicFigures) => void
): Promise<PublicFigures[]> {
  const path = ([date, day]: readonly [string, string]): string => join(folder, `capture_${date}_${day}.pcap`)
  const model = await fitModel(await recordsOf([path(DAD_DAYS.monday)]))
  const all: PublicFigures[] = []
  for (const day of ['wednesday', 'thursday'] as const) {
    const labels = await frameTable(join(folder, `capture_${DAD_DAYS[day][0]}_labels.csv`), ';')
    const attack: number[] = []
    const scores: number[] = []
    await scoreFile(path(DAD_DAYS[day]), [model], ({ frame }, [score]) => {
      attack.push(Number(labels.get(frame ?? 0) !== '0'))
      scores.push(score)
    })
    all.push(figuresOf(day, attack, scores))
    onFigures(all[all.length - 1])
  }
  return all
}

function figuresOf(name: string, attack: readonly number[], scores: readonly number[]): PublicFigures {
  return {
    name,
    judged: scores.length,
    frames: attack.filter(each => each === 1).length,
    auc: rocAuc(attack, scores),
    recall: recallAtFpr(attack, scores, 0.01)
  }
}
