// Who takes part in a capture, from which address, and when: all of it drawn from one seed.

import { Chance, seedFor } from './chance.js'
import { LAB_PREFIX } from './target.js'
import type { DeviceKind } from './device.js'

/** `device`: there from the start; `newcomer`: a benign one that comes when the attackers come. */
export type Role = 'device' | 'newcomer' | 'attacker'

/** `wire`: straight into the switch; `air`: through a link that delays, loses and reorders. */
export const LINKS = ['wire', 'air'] as const
export type Link = (typeof LINKS)[number]

/** One machine with an address of its own. */
export interface Party {
  role: Role
  /** Kind of device, or name of the attack. */
  kind: string
  /** Its number among those of its kind, from 0, newcomers after the others. */
  index: number
  address: string
  link: Link
  seed: number
  /** Milliseconds after the beginning of the capture. */
  arriveMs: number
}

/** A capture before it happens. */
export interface Plan {
  seed: number
  attack: string | null
  durationMs: number
  /** Between these no attacker is silent for want of orders; ms after the beginning. */
  attackFromMs: number
  attackToMs: number
  parties: Party[]
}

/** What a plan is made of. */
export interface PlanOptions {
  seed: number
  attack: { name: string; attackers: readonly [number, number] } | null
  durationMs: number
  kinds: readonly DeviceKind[]
}

/** Devices have settled when this share of the time is over, and the attack ends before the capture does. */
const SETTLED = 0.18
const ATTACK_END = 0.9
/** Attackers and newcomers come during this share of the attack. */
const ARRIVALS = 0.35
/** For each attacker come so many newcomers, at about the same moment. */
const NEWCOMERS_PER_ATTACKER = 2
/** In a capture without an attack some devices come late, too. */
const LATE_IN_PEACE = 10
const SHARE_ON_AIR = 0.4

/** Draws a plan; the same options give the same one. */
export function makePlan({ seed, attack, durationMs, kinds }: PlanOptions): Plan {
  const chance = new Chance(seedFor(seed, `plan ${attack?.name ?? 'none'}`))
  const addresses = freeAddresses(chance)
  const attackFromMs = Math.round(durationMs * SETTLED)
  const attackToMs = Math.round(durationMs * ATTACK_END)
  const counts = new Map<string, number>()
  const parties: Party[] = []
  const join = (role: Role, kind: string, arriveMs: number): void => {
    const index = counts.get(kind) ?? 0
    counts.set(kind, index + 1)
    const link = chance.happens(SHARE_ON_AIR) ? 'air' : 'wire'
    parties.push({
      role,
      kind,
      index,
      address: addresses.next(),
      link,
      seed: seedFor(seed, `${kind} ${index}`),
      arriveMs: Math.round(arriveMs)
    })
  }
  for (const { name, residents } of kinds) {
    for (let i = 0; i < residents; i++) join('device', name, chance.between(0, attackFromMs * 0.6))
  }
  const ordinary = kinds.filter(({ ordinary }) => ordinary)
  const attackers = attack === null ? 0 : chance.whole(...attack.attackers)
  const arrivals = Array.from({ length: attack === null ? LATE_IN_PEACE : attackers }, () =>
    chance.between(attackFromMs, attack === null ? attackToMs : attackFromMs + ARRIVALS * (attackToMs - attackFromMs))
  )
  for (const arrival of arrivals) {
    const newcomers = attack === null ? 1 : NEWCOMERS_PER_ATTACKER
    for (let i = 0; i < newcomers; i++)
      join('newcomer', chance.oneOf(ordinary).name, arrival + chance.between(-500, 500))
    if (attack !== null) join('attacker', attack.name, arrival)
  }
  return { seed, attack: attack?.name ?? null, durationMs, attackFromMs, attackToMs, parties }
}

/** Addresses in no order, so that none tells what its owner is. */
function freeAddresses(chance: Chance): { next(): string } {
  const all = [1, 2, 3].flatMap(third => Array.from({ length: 254 }, (_, i) => `${LAB_PREFIX}${third}.${i + 1}`))
  const shuffled = chance.shuffled(all)
  return {
    next() {
      const address = shuffled.pop()
      if (address === undefined) throw new Error('there are more parties than addresses')
      return address
    }
  }
}
