// Kills a broker under load repeatedly. All clients resume, and in the end every acknowledged change must be present.

import { setTimeout as sleep } from 'node:timers/promises'
import type { ChildBroker } from '../brokers/child.js'
import { BanCheck } from './ban-check.js'
import { LoadClients, type LoadFigures } from './load-clients.js'
import type { PublisherFigures } from './delivery-tracker.js'
import { RetainedCheck } from './retained-check.js'
import { SubscriptionCheck } from './subscription-check.js'
import { WillCheck } from './will-check.js'
import { sumFaults, type ClientFaults } from './resuming-client.js'
import type { CheckResult, DurabilityCheck } from './durability-check.js'

/** Number of kills and amount of load. */
export interface KillPlan {
  kills: number
  publishers: number
  /** Unacknowledged messages per publisher, limited by the broker's Receive Maximum. */
  window: number
  /** Longest time from the checks to the kill, ms. Every third kill happens while clients are resuming. */
  longestMs: number
  /** Whether the broker accepts ban commands. */
  hasControl: boolean
}

/** Result of the run. */
export interface KillFigures extends LoadFigures {
  kills: number
  findings: CheckResult[]
  /** Protocol errors seen by all clients. */
  sessions: ClientFaults
  /** Errors of checks that were not caused by a kill. */
  troubles: string[]
}

/** The second of this many kills happens while clients are resuming, before any check. */
const EARLY_KILL_INTERVAL = 3
const EARLY_KILL_MS = 300
/** The subscriber that is mostly away connects once in this many rounds. */
const AWAY_INTERVAL = 5
/** Without a message or acknowledgement for this long, nothing more is expected. */
const IDLE_TIMEOUT_MS = 5_000
const POLL_INTERVAL_MS = 50

/**
 * Runs the plan.
 *
 * @param start starts the broker on the existing data, on the given port if possible; 0 takes any free port
 */
export async function runKills(
  start: (port: number) => Promise<ChildBroker>,
  plan: KillPlan,
  onKill: (kills: number, publishers: PublisherFigures) => void = () => {}
): Promise<KillFigures> {
  const clients = new LoadClients(plan.publishers, plan.window)
  const checks: DurabilityCheck[] = [
    new RetainedCheck(1, 4),
    new RetainedCheck(2, 5),
    new SubscriptionCheck(4),
    new SubscriptionCheck(5),
    new WillCheck(),
    ...(plan.hasControl ? [new BanCheck()] : [])
  ]
  const troubles: string[] = []
  let port = 0
  for (let kill = 1; kill <= plan.kills; kill++) {
    const broker = await start(port)
    port = broker.port
    const round = new Round(broker, troubles)
    const connecting = clients.connect(port, kill % AWAY_INTERVAL === 0, () => round.isKilled)
    if (kill === 1) await connecting
    if (kill % EARLY_KILL_INTERVAL === 2) {
      await sleep(Math.random() * EARLY_KILL_MS)
    } else {
      await Promise.all(
        checks.map(async check => {
          await round.track(check.check(broker.port))
        })
      )
      for (const check of checks) void round.track(check.act(port))
      await sleep(plan.longestMs * (0.2 + Math.random() * 0.8))
    }
    await round.kill()
    await Promise.all([
      round.settle(),
      connecting,
      clients.closed(),
      ...checks.map(async check => {
        await check.killed()
      })
    ])
    onKill(kill, clients.publisherFigures())
  }
  const broker = await start(port)
  const round = new Round(broker, troubles)
  clients.stopPublishing()
  await clients.connect(broker.port, true, () => round.isKilled)
  await Promise.all(
    checks.map(async check => {
      await round.track(check.check(broker.port))
    })
  )
  await drain(clients)
  await round.kill()
  await Promise.all([
    clients.closed(),
    ...checks.map(async check => {
      await check.killed()
    })
  ])
  return {
    kills: plan.kills,
    ...clients.figures(),
    findings: checks.flatMap(check => check.findings()),
    sessions: sumFaults([...clients.all, ...checks.flatMap(({ persistentClients }) => persistentClients)]),
    troubles
  }
}

async function drain(clients: LoadClients): Promise<void> {
  let { events } = clients
  for (let latest = performance.now(); !clients.isDrained() && performance.now() - latest < IDLE_TIMEOUT_MS;) {
    await sleep(POLL_INTERVAL_MS)
    if (clients.events === events) continue
    ;({ events } = clients)
    latest = performance.now()
  }
}

/** One round from start to kill. Failures after the kill are expected; failures before it are reported. */
class Round {
  isKilled = false
  readonly #doings: Promise<void>[] = []
  readonly #broker: ChildBroker
  readonly #troubles: string[]

  constructor(broker: ChildBroker, troubles: string[]) {
    this.#broker = broker
    this.#troubles = troubles
  }

  /** Resolves when a task is done or its connection has closed. */
  async track(task: Promise<void>): Promise<void> {
    const done = task.catch((error: unknown) => {
      if (!this.isKilled) this.#troubles.push((error as Error).message)
    })
    this.#doings.push(done)
    await done
  }

  async kill(): Promise<void> {
    if (this.#broker.hasEnded()) throw new Error(`Broker exited by itself:\n${this.#broker.log()}`)
    this.isKilled = true
    await this.#broker.kill()
  }

  async settle(): Promise<void> {
    await Promise.all(this.#doings)
  }
}
