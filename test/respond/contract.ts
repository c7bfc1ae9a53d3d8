// The contract of all responses, checked for each entry of the catalog.

import t from 'tap'
import { BanList } from '../../src/respond/bans.js'
import { RESPONSES, type ResponseName } from '../../src/respond/catalog.js'
import type { BrokerControl, Offender } from '../../src/respond/response.js'
import { TestClock } from '../support/test-clock.js'

/** Differences between responses. */
export interface ResponseTraits {
  /** Closes the offending connections. */
  disconnects: boolean
  /** Bans the offender for a time. */
  bans: boolean
}

const SETTINGS = { banSeconds: 60 }
const OFFENDER: Offender = { address: '192.0.2.7', clientId: 'attacker', connections: [3, 4] }

class FakeBroker implements BrokerControl {
  readonly clock = new TestClock()
  readonly bans = new BanList(this.clock)
  otherClients = false
  readonly expelled: number[] = []
  readonly #live = new Set([1, 2, 3, 4])

  expel(connection: number): boolean {
    if (!this.#live.delete(connection)) return false
    this.expelled.push(connection)
    return true
  }

  hasOtherClients(): boolean {
    return this.otherClients
  }

  get isBanned(): boolean {
    return this.bans.coversClient('192.0.2.7', 'attacker')
  }
}

/** Checks the contract for one response, as a subtest. */
export function checkResponse(name: ResponseName, { disconnects, bans }: ResponseTraits): void {
  const response = RESPONSES[name]

  t.test(name, async t => {
    t.equal(response.name, name)

    t.test('affects only the offender', async t => {
      const broker = new FakeBroker()
      t.equal(response.apply(OFFENDER, broker, SETTINGS), disconnects ? 2 : 0)
      t.same(broker.expelled, disconnects ? [3, 4] : [])
      t.equal(broker.isBanned, bans)
      t.notOk(broker.bans.coversClient('192.0.2.8', 'attacker'), 'not the same client id at another address')
    })

    t.test('is idempotent: closes no connection twice, extends bans', async t => {
      const broker = new FakeBroker()
      response.apply(OFFENDER, broker, SETTINGS)
      broker.clock.advance(40_000)
      t.equal(response.apply(OFFENDER, broker, SETTINGS), 0)
      t.equal(broker.expelled.length, disconnects ? 2 : 0)
      t.equal(broker.bans.list().length, bans ? 1 : 0)
      broker.clock.advance(40_000)
      t.equal(broker.isBanned, bans)
    })

    t.test('expires', async t => {
      const broker = new FakeBroker()
      response.apply(OFFENDER, broker, SETTINGS)
      broker.clock.advance(60_000)
      t.notOk(broker.isBanned)
      t.same(broker.bans.list(), [])
    })

    t.test('undo lifts bans, with and without other clients at the address', async t => {
      for (const otherClients of [false, true]) {
        const broker = new FakeBroker()
        broker.otherClients = otherClients
        response.apply(OFFENDER, broker, SETTINGS)
        t.equal(broker.isBanned, bans)
        response.undo(OFFENDER, broker)
        t.notOk(broker.isBanned)
        t.same(broker.bans.list(), [])
        response.undo(OFFENDER, broker)
      }
    })

    t.test('does not affect other clients at the address', async t => {
      const broker = new FakeBroker()
      broker.otherClients = true
      response.apply(OFFENDER, broker, SETTINGS)
      t.notOk(broker.bans.coversAddress('192.0.2.7'))
      t.notOk(broker.bans.coversClient('192.0.2.7', 'neighbour'))
    })

    t.test('accepts unknown connections, no connections, no address and no client id', async t => {
      for (const otherClients of [false, true]) {
        const broker = new FakeBroker()
        broker.otherClients = otherClients
        for (const offender of [
          { ...OFFENDER, connections: [] },
          { ...OFFENDER, connections: [99, -1, 2 ** 40] },
          { ...OFFENDER, address: '' },
          { ...OFFENDER, clientId: null },
          { ...OFFENDER, clientId: '' }
        ]) {
          response.apply(offender, broker, SETTINGS)
          response.undo(offender, broker)
        }
        t.same(broker.bans.list(), [])
        t.notOk(broker.bans.coversAddress(''), 'an empty address is not banned')
      }
    })
  })
}
