// Attacks and devices of the lab are bounded, connect to one target only, and log their messages.

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
import { MessageLog } from '../../bench/lab/message-log.js'
import { makePlan, type Party } from '../../bench/lab/plan.js'
import { assertLabTarget, type Target } from '../../bench/lab/target.js'
import { waitUntil } from '../support/wait-until.js'

const ATTACK_MS = 1_000
/** Time limit of an attack to stop. */
const STOP_LIMIT_MS = 3_000
const VICTIM = 'victim'
/** A device's minute takes a second. */
const TIME_FACTOR = 1 / 60

/** A target broker that counts what it receives. */
class TargetBroker {
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

  static async open(): Promise<TargetBroker> {
    const aedes = await Aedes.createBroker()
    const server = createServer({ noDelay: true }, socket => {
      socket.on('error', () => {})
      // A connection accepted during close would never be read.
      if (!broker.#isOpen) {
        socket.destroy()
        return
      }
      // The address is undefined if the connection is already closed.
      if (socket.remoteAddress !== undefined) broker.addresses.add(socket.remoteAddress)
      broker.#sockets.add(socket)
      socket.once('close', () => {
        broker.#sockets.delete(socket)
      })
      socket.on('data', chunk => {
        broker.bytes += chunk.length
      })
      aedes.handle(socket)
    })
    await new Promise<void>(resolve => {
      server.listen(0, '127.0.0.1', resolve)
    })
    const { port } = server.address() as AddressInfo
    const broker: TargetBroker = new TargetBroker(
      { host: '127.0.0.1', port, tlsPort: null, webSocketPort: null },
      async () => {
        broker.#isOpen = false
        server.close()
        for (const socket of broker.#sockets) socket.destroy()
        // It may wait for clients that are disconnected; nothing is left to close then.
        await Promise.race([
          new Promise<void>(resolve => {
            aedes.close(resolve)
          }),
          pause(1_000)
        ])
      }
    )
    return broker
  }

  async close(): Promise<void> {
    await this.#end()
  }
}

function planOf(name: string, attackers: readonly [number, number]): Party[] {
  const { parties } = makePlan({ seed: 7, attack: { name, attackers }, durationMs: 60_000, kinds: DEVICE_KINDS })
  // Use loopback addresses instead of the lab's network.
  return parties.map((party, i) => ({ ...party, address: `127.0.66.${i + 1}` }))
}

/** Returns the addresses to which this process connected while `act` ran. */
async function destinations(act: () => Promise<void>): Promise<Set<string>> {
  const seen = new Set<string>()
  const listener = (message: unknown): void => {
    const { socket } = message as { socket: Socket }
    socket.prependListener('connectionAttempt', (address: string) => {
      seen.add(address)
    })
    // Early versions of Node 20 do not emit connection attempts.
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

t.test('every attack connects only to its target, and stops', async t => {
  t.equal(new Set(ATTACKS.map(({ name }) => name)).size, ATTACKS.length, 'names are unique')
  t.ok(ATTACKS.length >= 17)
  for (const attack of ATTACKS) {
    await t.test(attack.name, async t => {
      const broker = await TargetBroker.open()
      const path = join(t.testdir(), 'ledger.csv')
      const messageLog = new MessageLog(path)
      const parties = planOf(attack.name, attack.attackers)
      const injected: Buffer[] = []
      const scene = {
        target: broker.target,
        home: new Home(7, parties),
        messageLog,
        victims: [VICTIM],
        inject: (packet: Buffer) => {
          injected.push(packet)
        }
      }
      const ours = parties.filter(({ role }) => role === 'attacker')
      t.ok(ours.length >= attack.attackers[0] && ours.length <= attack.attackers[1])
      const startedAt = performance.now()
      const seen = await destinations(async () => {
        await Promise.all(
          ours.map(async party => {
            const attacker = new Attacker(party, scene, ATTACK_MS)
            await attack.run(attacker)
            attacker.stop()
          })
        )
      })
      t.ok(performance.now() - startedAt < ATTACK_MS + STOP_LIMIT_MS, 'it stops in time')
      t.same([...seen], attack.isForged === true ? [] : [broker.target.host], 'it connects only to the target')
      for (const packet of injected) {
        t.equal(packet.subarray(16, 20).join('.'), broker.target.host, 'it sends crafted packets only to the target')
        t.ok(
          ours.some(({ address }) => address === packet.subarray(12, 16).join('.')),
          'only from its own addresses'
        )
      }
      for (const address of broker.addresses)
        t.ok(
          ours.some(party => party.address === address),
          'it connects from its own addresses'
        )
      t.ok(broker.bytes > 0 || injected.length > 0, 'the target receives data')
      await messageLog.close()
      t.equal(
        readFileSync(path, 'utf8')
          .split('\n')
          .filter(line => line !== '').length,
        messageLog.messages,
        'every published message is logged'
      )
      await broker.close()
    })
  }
})

t.test("only the lab's broker is allowed as a target", async t => {
  for (const host of ['192.0.2.1', '10.0.0.1', '8.8.8.8', 'example.org', '::1', '198.180.0.1']) {
    const target = { host, port: 1883, tlsPort: null, webSocketPort: null }
    t.throws(
      () => {
        assertLabTarget(target)
      },
      { message: /only connects to its own broker/ },
      host
    )
    const [party] = planOf('malaria', [3, 3])
    const home = new Home(1, [])
    t.throws(() => new Device(party, home, target, {} as MessageLog))
    t.throws(
      () => new Attacker(party, { target, home, messageLog: {} as MessageLog, victims: [], inject: () => {} }, 1)
    )
  }
  t.doesNotThrow(() => {
    assertLabTarget({ host: '198.18.0.2', port: 1883, tlsPort: null, webSocketPort: null })
  })
})

t.test('every kind of device connects from its own address, publishes, and stops', async t => {
  t.equal(new Set(DEVICE_KINDS.map(({ name }) => name)).size, DEVICE_KINDS.length, 'names are unique')
  t.ok(DEVICE_KINDS.length >= 12)
  t.ok(DEVICE_KINDS.reduce((sum, { residents }) => sum + residents, 0) >= 60)
  const broker = await TargetBroker.open()
  const path = join(t.testdir(), 'ledger.csv')
  const messageLog = new MessageLog(path)
  const parties = planOf('malaria', [3, 3])
  const home = new Home(7, parties)
  const devices = DEVICE_KINDS.map(kind => {
    const party = parties.find(party => party.kind === kind.name)
    if (party === undefined) throw new Error(`no ${kind.name} in the plan`)
    const device = new Device(party, home, broker.target, messageLog, TIME_FACTOR)
    kind.start(device)
    return device
  })
  await waitUntil('every kind connects', () => devices.every(({ party }) => broker.addresses.has(party.address)))
  await waitUntil('devices publish', () => messageLog.messages > 100)
  await Promise.all(
    devices.map(async device => {
      await device.stop()
    })
  )
  await messageLog.close()
  const lines = readFileSync(path, 'utf8')
    .split('\n')
    .filter(line => line !== '')
  t.ok(lines.every(line => /^\d+\.\d{3},(device|newcomer),127\.0\.66\.\d+,/.test(line)))
  await broker.close()
})
