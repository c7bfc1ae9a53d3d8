// The plan of a capture: parties, addresses and times, generated from one seed.

import { RandomSource, seedFor } from './random-source.js'
import { LAB_PREFIX } from './target.js'
import type { DeviceKind } from './device.js'

/** `device`: present from the start; `newcomer`: benign, arrives together with the attackers. */
export type Role = 'device' | 'newcomer' | 'attacker'

/** `wire`: directly on the switch; `air`: behind a link that delays, drops and reorders. */
export const LINKS = ['wire', 'air'] as const
export type Link = (typeof LINKS)[number]

/** A machine with its own address. */
export interface Party {
  role: Role
  /** Kind of device, or name of the attack. */
  kind: string
  /** Index among its kind, from 0; newcomers follow the others. */
  index: number
  address: string
  link: Link
  seed: number
  /** Arrival, milliseconds after the start of the capture. */
  arriveMs: number
}

/** The plan of a capture. */
export interface Plan {
  seed: number
  attack: string | null
  durationMs: number
  /** Start and end of the attack, milliseconds after the start of the capture. */
  attackFromMs: number
  attackToMs: number
  parties: Party[]
}

export interface PlanOptions {
  seed: number
  attack: { name: string; attackers: readonly [number, number] } | null
  durationMs: number
  kinds: readonly DeviceKind[]
}

/** Share of the time after which devices have settled; the attack ends before the capture does. */
const SETTLED_SHARE = 0.18
const ATTACK_END_SHARE = 0.9
/** Attackers and newcomers arrive during this share of the attack. */
const ARRIVAL_SHARE = 0.35
/** Newcomers per attacker, who arrive at about the same time. */
const NEWCOMERS_PER_ATTACKER = 2
/** Newcomers in a capture without an attack. */
const NEWCOMERS_WITHOUT_ATTACK = 10
const AIR_SHARE = 0.4

/** Makes a plan; the same options give the same plan. */
export function makePlan({ seed, attack, durationMs, kinds }: PlanOptions): Plan {
  const random = new RandomSource(seedFor(seed, `plan ${attack?.name ?? 'none'}`))
  const addresses = freeAddresses(random)
  const attackFromMs = Math.round(durationMs * SETTLED_SHARE)
  const attackToMs = Math.round(durationMs * ATTACK_END_SHARE)
  const counts = new Map<string, number>()
  const parties: Party[] = []
  const join = (role: Role, kind: string, arriveMs: number): void => {
    const index = counts.get(kind) ?? 0
    counts.set(kind, index + 1)
    const link = random.chance(AIR_SHARE) ? 'air' : 'wire'
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
    for (let i = 0; i < residents; i++) join('device', name, random.between(0, attackFromMs * 0.6))
  }
  const ordinary = kinds.filter(({ ordinary }) => ordinary)
  const attackers = attack === null ? 0 : random.integer(...attack.attackers)
  const arrivals = Array.from({ length: attack === null ? NEWCOMERS_WITHOUT_ATTACK : attackers }, () =>
    random.between(
      attackFromMs,
      attack === null ? attackToMs : attackFromMs + ARRIVAL_SHARE * (attackToMs - attackFromMs)
    )
  )
  for (const arrival of arrivals) {
    const newcomers = attack === null ? 1 : NEWCOMERS_PER_ATTACKER
    for (let i = 0; i < newcomers; i++)
      join('newcomer', random.oneOf(ordinary).name, arrival + random.between(-500, 500))
    if (attack !== null) join('attacker', attack.name, arrival)
  }
  return { seed, attack: attack?.name ?? null, durationMs, attackFromMs, attackToMs, parties }
}

/** Returns addresses in random order, so that an address does not reveal the role. */
function freeAddresses(random: RandomSource): { next(): string } {
  const all = [1, 2, 3].flatMap(third => Array.from({ length: 254 }, (_, i) => `${LAB_PREFIX}${third}.${i + 1}`))
  const shuffled = random.shuffled(all)
  return {
    next() {
      const address = shuffled.pop()
      if (address === undefined) throw new Error('Not enough addresses for all parties')
      return address
    }
  }
}
