// The contracts of the lab's attacks and devices: bounded, about one target only, and written down.

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Aedes } from 'aedes'
import t from 'tap'
import { Attacker } from '../../bench/lab/attacker.js'
import { ATTACKS } from '../../bench/lab/attacks/catalog.js'
import { Device } from '../../bench/lab/device.js'
import { DEVICE_KINDS } from '../../bench/lab/devices/catalog.js'
import { Home } from '../../bench/lab/home.js'
import { Ledger } from '../../bench/lab/ledger.js'
import { makePlan, type Party } from '../../bench/lab/plan.js'
import { assertLabTarget, type Target } from '../../bench/lab/target.js'
import { waitUntil } from '../support/wait-until.js'

const ATTACK_MS = 1_000
/** An attack that was told to end has ended after so long at the latest. */
const END_MS = 3_000
const VICTIM = 'victim'
/** A device's minute is here a second. */
const PACE = 1 / 60

/** What reached the target. */
class Doorman {
  readonly addresses = new Set<string>()
  bytes = 0
  readonly #sockets = new Set<Socket>()
  #isOpen = true
  readonly #end: () => Promise<void>

  private constructor(
    readonly target: Target,
    end: () => Promise<void>
  ) {
    this.#end = end
  }

  static async open(): Promise<Doorman> {
    const aedes = await Aedes.createBroker()
    const server = createServer({ noDelay: true }, socket => {
      socket.on('error', () => {})
      // Who was let in as the door closed would be read by nobody, and never end.
      if (!doorman.#isOpen) {
        socket.destroy()
        return
      }
      // There is none where the connection is closed already.
      if (socket.remoteAddress !== undefined) doorman.addresses.add(socket.remoteAddress)
      doorman.#sockets.add(socket)
      socket.once('close', () => {
        doorman.#sockets.delete(socket)
      })
      socket.on('data', chunk => {
        doorman.bytes += chunk.length
      })
      aedes.handle(socket)
    })
    await new Promise<void>(resolve => {
      server.listen(0, '127.0.0.1', resolve)
    })
    const { port } = server.address() as AddressInfo
    const doorman: Doorman = new Doorman({ host: '127.0.0.1', port, tlsPort: null, webSocketPort: null }, async () => {
      doorman.#isOpen = false
      server.close()
      for (const socket of doorman.#sockets) socket.destroy()
      // It may wait for clients that are gone; it holds nothing by then.
      await Promise.race([
        new Promise<void>(resolve => {
          aedes.close(resolve)
        }),
        pause(1_000)
      ])
    })
    return doorman
  }

  async close(): Promise<void> {
    await this.#end()
  }
}

function planOf(name: string, attackers: readonly [number, number]): Party[] {
  const { parties } = makePlan({ seed: 7, attack: { name, attackers }, durationMs: 60_000, kinds: DEVICE_KINDS })
  // Addresses of loopback stand for those of the lab's network.
  return parties.map((party, i) => ({ ...party, address: `127.0.66.${i + 1}` }))
}

/** Where this process opened connections to, while `act` ran. */
async function destinations(act: () => Promise<void>): Promise<Set<string>> {
  const seen = new Set<string>()
  const listener = (message: unknown): void => {
    const { socket } = message as { socket: Socket }
    socket.prependListener('connectionAttempt', (address: string) => {
      seen.add(address)
    })
    // Early versions of Node 20 do not tell attempts.
    socket.prependListener('connect', () => {
      seen.add(socket.remoteAddress ?? '')
    })
  }
  subscribe('net.client.socket', listener)
  try {
    await act()
  } finally {
    unsubscribe('net.client.socket', listener)
  }
  return seen
}

t.test('every attack reaches its target and nothing else, and ends', async t => {
  t.equal(new Set(ATTACKS.map(({ name }) => name)).size, ATTACKS.length, 'names are unique')
  t.ok(ATTACKS.length >= 17)
  for (const attack of ATTACKS) {
    await t.test(attack.name, async t => {
      const doorman = await Doorman.open()
      const path = join(t.testdir(), 'ledger.csv')
      const ledger = new Ledger(path)
      const parties = planOf(attack.name, attack.attackers)
      const injected: Buffer[] = []
      const scene = {
        target: doorman.target,
        home: new Home(7, parties),
        ledger,
        victims: [VICTIM],
        inject: (packet: Buffer) => {
          injected.push(packet)
        }
      }
      const ours = parties.filter(({ role }) => role === 'attacker')
      t.ok(ours.length >= attack.attackers[0] && ours.length <= attack.attackers[1])
      const begun = performance.now()
      const seen = await destinations(async () => {
        await Promise.all(
          ours.map(async party => {
            const attacker = new Attacker(party, scene, ATTACK_MS)
            await attack.run(attacker)
            attacker.stop()
          })
        )
      })
      t.ok(performance.now() - begun < ATTACK_MS + END_MS, 'it ends when it is over')
      t.same([...seen], attack.isForged === true ? [] : [doorman.target.host], 'it connects to the target only')
      for (const packet of injected) {
        t.equal(packet.subarray(16, 20).join('.'), doorman.target.host, 'it forges packets to the target only')
        t.ok(
          ours.some(({ address }) => address === packet.subarray(12, 16).join('.')),
          'from its own addresses only'
        )
      }
      for (const address of doorman.addresses)
        t.ok(
          ours.some(party => party.address === address),
          'it comes from its own addresses'
        )
      t.ok(doorman.bytes > 0 || injected.length > 0, 'something arrives')
      await ledger.close()
      t.equal(
        readFileSync(path, 'utf8')
          .split('\n')
          .filter(line => line !== '').length,
        ledger.messages,
        'what it publishes is written down'
      )
      await doorman.close()
    })
  }
})

t.test("nothing talks to a broker that is not the lab's", async t => {
  for (const host of ['192.0.2.1', '10.0.0.1', '8.8.8.8', 'example.org', '::1', '198.180.0.1']) {
    const target = { host, port: 1883, tlsPort: null, webSocketPort: null }
    t.throws(
      () => {
        assertLabTarget(target)
      },
      { message: /own broker only/ },
      host
    )
    const [party] = planOf('malaria', [3, 3])
    const home = new Home(1, [])
    t.throws(() => new Device(party, home, target, {} as Ledger))
    t.throws(() => new Attacker(party, { target, home, ledger: {} as Ledger, victims: [], inject: () => {} }, 1))
  }
  t.doesNotThrow(() => {
    assertLabTarget({ host: '198.18.0.2', port: 1883, tlsPort: null, webSocketPort: null })
  })
})

t.test('every kind of device lives, publishes under its own address and goes', async t => {
  t.equal(new Set(DEVICE_KINDS.map(({ name }) => name)).size, DEVICE_KINDS.length, 'names are unique')
  t.ok(DEVICE_KINDS.length >= 12)
  t.ok(DEVICE_KINDS.reduce((sum, { residents }) => sum + residents, 0) >= 60)
  const doorman = await Doorman.open()
  const path = join(t.testdir(), 'ledger.csv')
  const ledger = new Ledger(path)
  const parties = planOf('malaria', [3, 3])
  const home = new Home(7, parties)
  const devices = DEVICE_KINDS.map(kind => {
    const party = parties.find(party => party.kind === kind.name)
    if (party === undefined) throw new Error(`no ${kind.name} in the plan`)
    const device = new Device(party, home, doorman.target, ledger, PACE)
    kind.start(device)
    return device
  })
  await waitUntil('every kind comes', () => devices.every(({ party }) => doorman.addresses.has(party.address)))
  await waitUntil('messages flow', () => ledger.messages > 100)
  await Promise.all(
    devices.map(async device => {
      await device.stop()
    })
  )
  await ledger.close()
  const lines = readFileSync(path, 'utf8')
    .split('\n')
    .filter(line => line !== '')
  t.ok(lines.every(line => /^\d+\.\d{3},(device|newcomer),127\.0\.66\.\d+,/.test(line)))
  await doorman.close()
})
