// The network of a capture: the broker, wired hosts and an impaired radio link on one switch.

import { once } from 'node:events'
import { Forwarder } from './forwarder.js'
import { Network, type Host } from './network.js'
import { LINKS, type Link, type Plan } from './plan.js'
import { RandomSource, seedFor } from './random-source.js'
import { LAB_PREFIX } from './target.js'
import { findAttack } from './attacks/catalog.js'

/** Address of the broker. */
export const BROKER_ADDRESS = `${LAB_PREFIX}0.2`
const PREFIX_LENGTH = 16
/** Interface name of the forwarder. */
const AIR_DEVICE = 'link0'
/** Hardware address for forged addresses: locally administered, unused. */
const UNUSED_ADDRESS = '02:00:00:00:aa:02'

/** A running network. */
export class LabNetwork {
  readonly #network: Network
  readonly #hosts: Readonly<Record<Link, Host>>
  readonly #air: Forwarder
  readonly #brokerHardware: string

  private constructor(
    network: Network,
    readonly broker: Host,
    /** Broker interface, where the capture is made. */
    readonly device: string,
    hosts: Readonly<Record<Link, Host>>,
    air: Forwarder,
    brokerHardware: string
  ) {
    this.#network = network
    this.#hosts = hosts
    this.#air = air
    this.#brokerHardware = brokerHardware
  }

  /** Builds the network and assigns every party its address. */
  static async open(plan: Plan): Promise<LabNetwork> {
    const network = new Network()
    try {
      const center = await network.addSwitch('switch')
      const broker = await network.addHost('broker')
      const hosts = { wire: await network.addHost('wire'), air: await network.addHost('air') }
      const device = await network.connect(broker, center, [`${BROKER_ADDRESS}/${PREFIX_LENGTH}`])
      const wired = await network.connect(hosts.wire, center)
      const random = new RandomSource(seedFor(plan.seed, `air ${plan.attack ?? 'none'}`))
      // Like home Wi-Fi: a delay of some milliseconds, few packets lost, duplicated or reordered.
      const bad = (): { delayMs: number; jitterMs: number; loss: number; duplication: number; reordering: number } => ({
        delayMs: random.between(1, 4),
        jitterMs: random.between(2, 12),
        loss: random.between(0.001, 0.006),
        duplication: 0.0005,
        reordering: 0.001
      })
      const air = await Forwarder.open({
        a: { host: hosts.air },
        b: { host: center },
        toA: bad(),
        toB: bad(),
        seed: plan.seed
      })
      const made = new LabNetwork(network, broker, device, hosts, air, await broker.hardwareAddress(device))
      const devices = { wire: wired, air: AIR_DEVICE }
      const isForged = findAttack(plan.attack ?? '')?.isForged === true
      for (const link of LINKS) {
        const owned = plan.parties.filter(party => party.link === link && !(isForged && party.role === 'attacker'))
        await ipCommands(
          hosts[link],
          owned.map(({ address }) => `address add ${address}/${PREFIX_LENGTH} dev ${devices[link]}`)
        )
      }
      // ARP for forged addresses would fail; a static entry puts the broker's responses on the wire.
      const forged = plan.parties.filter(({ role }) => isForged && role === 'attacker')
      await ipCommands(
        broker,
        forged.map(({ address }) => `neighbour replace ${address} lladdr ${UNUSED_ADDRESS} nud permanent dev ${device}`)
      )
      return made
    } catch (error) {
      await network.close()
      throw error
    }
  }

  hostOf(link: Link): Host {
    return this.#hosts[link]
  }

  /** Sends an IPv4 packet to the broker. */
  inject(packet: Buffer): void {
    this.#air.inject('b', packet, this.#brokerHardware)
  }

  async close(): Promise<void> {
    await this.#air.close().catch(() => {})
    await this.#network.close()
  }
}

/** Runs many `ip` commands at a host in one batch. */
async function ipCommands(host: Host, commands: readonly string[]): Promise<void> {
  const child = host.spawn('ip', ['-batch', '-'], { stdio: ['pipe', 'ignore', 'inherit'] })
  const exited = once(child, 'exit')
  child.stdin?.end(commands.map(command => `${command}\n`).join(''))
  const [code] = (await exited) as [number | null]
  if (code !== 0) throw new Error(`ip -batch failed at ${host.name} with exit code ${String(code)}`)
}
