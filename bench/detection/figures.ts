// How well scores tell an attack's frames from benign ones: all of them, and by who sent what.

import { recallAtFpr, rocAuc } from '../../models/index.js'
import type { FrameLabels } from './captures.js'

/** Frames against benign ones. */
export interface Figures {
  /** Frames that are to be found. */
  frames: number
  /** NaN where there are none. */
  auc: number
  /** Share found where one benign frame in a hundred is called abnormal. */
  recall: number
}

/** What came of one attack. */
export interface AttackFigures extends Figures {
  attack: string
  /** All frames that were judged. */
  judged: number
  /** The same with labels by address: what the broker forwards of the attack counts as benign. */
  byAddress: Figures
  /** Frames of the attack by who sent them, against the same benign ones. */
  parts: Record<Part, Figures>
  /** Frames from and to attackers against those of benign newcomers. */
  newcomers: Figures
}

/** Who sends frames that are there only because of an attack. */
export const PARTS = ['attacker', 'toAttacker', 'forwarded', 'receivers'] as const
export type Part = (typeof PARTS)[number]

const FALSE_POSITIVES = 0.01

/** The AUC and recall that are wanted of an attack; a recall of 0 where none is stated. */
export function wantedOf(attack: string): { auc: number; recall: number } {
  return attack.startsWith('malaria') ? { auc: 0.999, recall: 0 } : { auc: 0.99, recall: 0.95 }
}

/** Figures of a judged capture. NaN, which JSON turns into null, where there is nothing to tell apart. */
export function attackFigures(attack: string, labels: FrameLabels, scores: readonly number[]): AttackFigures {
  const all = [...scores.keys()]
  const against = (isFound: (i: number) => boolean, isOther: (i: number) => boolean): Figures => {
    const chosen = all.filter(i => isFound(i) || isOther(i))
    const found = chosen.map(i => Number(isFound(i)))
    const chosenScores = chosen.map(i => scores[i])
    return {
      frames: found.filter(one => one === 1).length,
      auc: rocAuc(found, chosenScores),
      recall: recallAtFpr(found, chosenScores, FALSE_POSITIVES)
    }
  }
  const isAttack = (i: number): boolean => labels.attack[i] === 1
  const isBenign = (i: number): boolean => labels.attack[i] === 0
  const isOfAttacker = (i: number): boolean => labels.byAddress[i] === 1
  const isInbound = (i: number): boolean => labels.inbound[i] === 1
  const isPart: Record<Part, (i: number) => boolean> = {
    attacker: i => isAttack(i) && isOfAttacker(i) && isInbound(i),
    toAttacker: i => isAttack(i) && isOfAttacker(i) && !isInbound(i),
    forwarded: i => isAttack(i) && !isOfAttacker(i) && !isInbound(i),
    receivers: i => isAttack(i) && !isOfAttacker(i) && isInbound(i)
  }
  return {
    attack,
    judged: all.length,
    ...against(isAttack, isBenign),
    byAddress: against(isOfAttacker, i => !isOfAttacker(i)),
    parts: Object.fromEntries(PARTS.map(part => [part, against(isPart[part], isBenign)])) as Record<Part, Figures>,
    newcomers: against(isOfAttacker, i => isBenign(i) && labels.newcomer[i] === 1)
  }
}

/** What is missing to what is wanted; `reached` where nothing is. */
export function distance(
  { auc, recall }: Pick<Figures, 'auc' | 'recall'>,
  wanted: { auc: number; recall: number }
): string {
  const missing = [
    ...(auc < wanted.auc ? [`AUC ${(wanted.auc - auc).toFixed(4)}`] : []),
    ...(recall < wanted.recall ? [`recall ${(wanted.recall - recall).toFixed(3)}`] : [])
  ]
  return missing.length === 0 ? 'reached' : `short by ${missing.join(', ')}`
}
