// Kills a broker under load again and again; whoever was connected resumes, and in the end everything must be there.

import { setTimeout as sleep } from 'node:timers/promises'
import type { ChildBroker } from '../brokers/child.js'
import { BanWitness } from './ban-witness.js'
import { Crowd, type CrowdFigures } from './crowd.js'
import type { PublisherFigures } from './ledger.js'
import { RetainedWitness } from './retained-witness.js'
import { SubscriptionWitness } from './subscription-witness.js'
import { WillWitness } from './will-witness.js'
import { faultsOf, type ClientFaults } from './resuming-client.js'
import type { Finding, Witness } from './witness.js'

/** How often, and how much load. */
export interface KillPlan {
  kills: number
  publishers: number
  /** Unacknowledged messages of each publisher, fewer where the broker's Receive Maximum says so. */
  window: number
  /** From when all is as it must be to the kill, ms, at most; every third kill comes while everybody resumes. */
  longestMs: number
  /** Whether the broker can be asked to ban. */
  hasControl: boolean
}

/** What came of it. */
export interface KillFigures extends CrowdFigures {
  kills: number
  findings: Finding[]
  /** Of all clients. */
  sessions: ClientFaults
  /** Why witnesses were cut off other than by a kill. */
  troubles: string[]
}

/** Of so many kills, the second comes while everybody resumes, before anything was looked at. */
const EARLY_EVERY = 3
const EARLY_MS = 300
/** The subscriber that is mostly away is there once in so many. */
const BACK_EVERY = 5
/** So long without a message or an acknowledgement, and nothing more will come. */
const QUIET_MS = 5_000
const LOOK_EVERY_MS = 50

/**
 * Runs the plan.
 *
 * @param start starts the broker on the data that is there, on a port if it can be had; 0: any
 */
export async function killAgainAndAgain(
  start: (port: number) => Promise<ChildBroker>,
  plan: KillPlan,
  onKill: (kills: number, publishers: PublisherFigures) => void = () => {}
): Promise<KillFigures> {
  const crowd = new Crowd(plan.publishers, plan.window)
  const witnesses: Witness[] = [
    new RetainedWitness(1, 4),
    new RetainedWitness(2, 5),
    new SubscriptionWitness(4),
    new SubscriptionWitness(5),
    new WillWitness(),
    ...(plan.hasControl ? [new BanWitness()] : [])
  ]
  const troubles: string[] = []
  let port = 0
  for (let kill = 1; kill <= plan.kills; kill++) {
    const broker = await start(port)
    port = broker.port
    const round = new Round(broker, troubles)
    const coming = crowd.come(port, kill % BACK_EVERY === 0, () => round.isKilled)
    if (kill === 1) await coming
    if (kill % EARLY_EVERY === 2) {
      await sleep(Math.random() * EARLY_MS)
    } else {
      await Promise.all(
        witnesses.map(async witness => {
          await round.until(witness.check(broker.port))
        })
      )
      for (const witness of witnesses) void round.until(witness.act(port))
      await sleep(plan.longestMs * (0.2 + Math.random() * 0.8))
    }
    await round.kill()
    await Promise.all([
      round.settled(),
      coming,
      crowd.gone(),
      ...witnesses.map(async witness => {
        await witness.killed()
      })
    ])
    onKill(kill, crowd.publisherFigures())
  }
  const broker = await start(port)
  const round = new Round(broker, troubles)
  crowd.stopPublishing()
  await crowd.come(broker.port, true, () => round.isKilled)
  await Promise.all(
    witnesses.map(async witness => {
      await round.until(witness.check(broker.port))
    })
  )
  await drain(crowd)
  await round.kill()
  await Promise.all([
    crowd.gone(),
    ...witnesses.map(async witness => {
      await witness.killed()
    })
  ])
  return {
    kills: plan.kills,
    ...crowd.figures(),
    findings: witnesses.flatMap(witness => witness.findings()),
    sessions: faultsOf([...crowd.clients, ...witnesses.flatMap(({ lasting }) => lasting)]),
    troubles
  }
}

async function drain(crowd: Crowd): Promise<void> {
  let { events } = crowd
  for (let latest = performance.now(); !crowd.isDrained() && performance.now() - latest < QUIET_MS;) {
    await sleep(LOOK_EVERY_MS)
    if (crowd.events === events) continue
    ;({ events } = crowd)
    latest = performance.now()
  }
}

/** From a start to the kill: what fails then is the kill's doing, and what fails before is the broker's. */
class Round {
  isKilled = false
  readonly #doings: Promise<void>[] = []
  readonly #broker: ChildBroker
  readonly #troubles: string[]

  constructor(broker: ChildBroker, troubles: string[]) {
    this.#broker = broker
    this.#troubles = troubles
  }

  /** Resolves when something is done, or the end of its connection has ended it. */
  async until(doing: Promise<void>): Promise<void> {
    const done = doing.catch((error: unknown) => {
      if (!this.isKilled) this.#troubles.push((error as Error).message)
    })
    this.#doings.push(done)
    await done
  }

  async kill(): Promise<void> {
    if (this.#broker.hasEnded()) throw new Error(`the broker ended by itself:\n${this.#broker.log()}`)
    this.isKilled = true
    await this.#broker.kill()
  }

  async settled(): Promise<void> {
    await Promise.all(this.#doings)
  }
}
