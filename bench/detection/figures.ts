// ROC AUC and recall of an attack's frames against benign ones: all frames, and by sender.

import { recallAtFpr, rocAuc } from '../../models/index.js'
import type { FrameLabels } from './captures.js'

/** Figures of attack frames against benign frames. */
export interface Figures {
  /** Attack frames. */
  frames: number
  /** NaN if there are no attack frames. */
  auc: number
  /** Recall at 1 % false positives. */
  recall: number
}

/** Figures of one attack. */
export interface AttackFigures extends Figures {
  attack: string
  /** All scored frames. */
  judged: number
  /** Figures with labels by address: attack messages that the broker forwards count as benign. */
  byAddress: Figures
  /** Attack frames by sender, against the same benign frames. */
  parts: Record<Part, Figures>
  /** Frames to and from attackers against frames of benign newcomers. */
  newcomers: Figures
}

/** Sender and receiver of attack frames. */
export const PARTS = ['attacker', 'toAttacker', 'forwarded', 'receivers'] as const
export type Part = (typeof PARTS)[number]

const FALSE_POSITIVES = 0.01

/** Returns the target AUC and recall of an attack; recall 0 if there is no target. */
export function targetOf(attack: string): { auc: number; recall: number } {
  return attack.startsWith('malaria') ? { auc: 0.999, recall: 0 } : { auc: 0.99, recall: 0.95 }
}

/**
 * Computes the figures of a scored capture. A figure is NaN, which JSON turns into null, if one of the two classes is
 * empty.
 */
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

/** Returns the shortfall against the target, or `reached`. */
export function shortfall(
  { auc, recall }: Pick<Figures, 'auc' | 'recall'>,
  wanted: { auc: number; recall: number }
): string {
  const missing = [
    ...(auc < wanted.auc ? [`AUC ${(wanted.auc - auc).toFixed(4)}`] : []),
    ...(recall < wanted.recall ? [`recall ${(wanted.recall - recall).toFixed(3)}`] : [])
  ]
  return missing.length === 0 ? 'reached' : `short by ${missing.join(', ')}`
}
