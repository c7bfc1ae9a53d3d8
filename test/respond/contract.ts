// What every response promises, run on each entry of the catalog.

import t from 'tap'
import { BanList } from '../../src/respond/bans.js'
import { RESPONSES, type ResponseName } from '../../src/respond/catalog.js'
import type { BrokerControl, Offender } from '../../src/respond/response.js'
import { TestClock } from '../support/test-clock.js'

/** What differs between responses. */
export interface ResponseTraits {
  /** Throws the offending connections out. */
  throwsOut: boolean
  /** Keeps the offender out for a time. */
  bans: boolean
}

const SETTINGS = { banSeconds: 60 }
const OFFENDER: Offender = { address: '192.0.2.7', clientId: 'attacker', connections: [3, 4] }

class FakeBroker implements BrokerControl {
  readonly clock = new TestClock()
  readonly bans = new BanList(this.clock)
  bystanders = false
  readonly expelled: number[] = []
  readonly #live = new Set([1, 2, 3, 4])

  expel(connection: number): boolean {
    if (!this.#live.delete(connection)) return false
    this.expelled.push(connection)
    return true
  }

  hasBystanders(): boolean {
    return this.bystanders
  }

  get isOut(): boolean {
    return this.bans.coversClient('192.0.2.7', 'attacker')
  }
}

/** Runs the contract on one response, as a subtest. */
export function checkResponse(name: ResponseName, { throwsOut, bans }: ResponseTraits): void {
  const response = RESPONSES[name]

  t.test(name, async t => {
    t.equal(response.name, name)

    t.test('acts on the offender, and on nobody else', async t => {
      const broker = new FakeBroker()
      t.equal(response.apply(OFFENDER, broker, SETTINGS), throwsOut ? 2 : 0)
      t.same(broker.expelled, throwsOut ? [3, 4] : [])
      t.equal(broker.isOut, bans)
      t.notOk(broker.bans.coversClient('192.0.2.8', 'attacker'), 'not who says the same name elsewhere')
    })

    t.test('bears repetition: nobody is thrown out twice, and what lasts is prolonged', async t => {
      const broker = new FakeBroker()
      response.apply(OFFENDER, broker, SETTINGS)
      broker.clock.advance(40_000)
      t.equal(response.apply(OFFENDER, broker, SETTINGS), 0)
      t.equal(broker.expelled.length, throwsOut ? 2 : 0)
      t.equal(broker.bans.list().length, bans ? 1 : 0)
      broker.clock.advance(40_000)
      t.equal(broker.isOut, bans)
    })

    t.test('ends by itself', async t => {
      const broker = new FakeBroker()
      response.apply(OFFENDER, broker, SETTINGS)
      broker.clock.advance(60_000)
      t.notOk(broker.isOut)
      t.same(broker.bans.list(), [])
    })

    t.test('undo lifts what lasts, whatever the broker looked like at the time', async t => {
      for (const bystanders of [false, true]) {
        const broker = new FakeBroker()
        broker.bystanders = bystanders
        response.apply(OFFENDER, broker, SETTINGS)
        t.equal(broker.isOut, bans)
        response.undo(OFFENDER, broker)
        t.notOk(broker.isOut)
        t.same(broker.bans.list(), [])
        response.undo(OFFENDER, broker)
      }
    })

    t.test('neighbours at the same address are spared', async t => {
      const broker = new FakeBroker()
      broker.bystanders = true
      response.apply(OFFENDER, broker, SETTINGS)
      t.notOk(broker.bans.coversAddress('192.0.2.7'))
      t.notOk(broker.bans.coversClient('192.0.2.7', 'neighbour'))
    })

    t.test('takes unknown connections, no connections, no address and no name', async t => {
      for (const bystanders of [false, true]) {
        const broker = new FakeBroker()
        broker.bystanders = bystanders
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
        t.notOk(broker.bans.coversAddress(''), 'what has no address cannot be banned by it')
      }
    })
  })
}
