// Login queue: bounded concurrency and length, fairness between addresses, disconnected clients.

import t from 'tap'
import { LoginQueue, type LoginOutcome } from '../../../broker/auth/login-queue.js'

/** A check that the test completes. */
function pending(): { run: () => Promise<boolean>; finish: (isAccepted: boolean) => void; started: () => boolean } {
  let resolve: (isAccepted: boolean) => void = () => {}
  let isStarted = false
  return {
    run: () => {
      isStarted = true
      return new Promise(done => {
        resolve = done
      })
    },
    finish: isAccepted => {
      resolve(isAccepted)
    },
    started: () => isStarted
  }
}

const connected = (): boolean => true

/** Runs pending callbacks. */
async function nextTurn(): Promise<void> {
  await new Promise(resolve => {
    setImmediate(resolve)
  })
}

t.test('two checks run at once, the others wait', async t => {
  const queue = new LoginQueue()
  const checks = Array.from({ length: 4 }, pending)
  const outcomes = checks.map((check, i) => queue.verify(`10.0.0.${i}`, check.run, connected))
  t.same(
    checks.map(check => check.started()),
    [true, true, false, false]
  )
  t.equal(queue.length, 4)
  checks[1].finish(true)
  t.equal(await outcomes[1], 'accepted')
  t.same(
    checks.map(check => check.started()),
    [true, true, true, false]
  )
  checks[0].finish(false)
  t.equal(await outcomes[0], 'rejected')
  for (const check of checks.slice(2)) {
    await nextTurn()
    check.finish(true)
  }
  t.same(await Promise.all(outcomes), ['rejected', 'accepted', 'accepted', 'accepted'])
  t.equal(queue.length, 0)
})

t.test('a flood from one address does not delay others', async t => {
  const queue = new LoginQueue()
  const order: string[] = []
  const verify = (address: string): Promise<LoginOutcome> =>
    queue.verify(
      address,
      async () => {
        await nextTurn()
        order.push(address)
        return true
      },
      connected
    )
  const flood = Array.from({ length: 60 }, () => verify('10.0.0.1'))
  const others = Array.from({ length: 5 }, (_, i) => verify(`10.0.1.${i}`))
  t.same(await Promise.all(others), Array(5).fill('accepted'))
  t.ok(order.length <= 16, `the others finished after ${order.length} hashes`)
  await Promise.all(flood)
})

t.test('the queue is bounded in total and per address, and counts refusals', async t => {
  const queue = new LoginQueue()
  const blocked = pending()
  const outcomes: Promise<LoginOutcome>[] = []
  for (let i = 0; i < 200; i++) outcomes.push(queue.verify('10.0.0.1', blocked.run, connected))
  const refused = await Promise.all(outcomes.slice(100))
  t.same([...new Set(refused)], ['busy'])
  for (let i = 0; i < 2000; i++) void queue.verify(`10.1.${i >> 8}.${i & 255}`, blocked.run, connected)
  t.ok(queue.length <= 520, `${queue.length} queued`)
  t.ok(queue.counters.busy > 1000)
})

t.test('a client that disconnects while queued is not checked', async t => {
  const queue = new LoginQueue()
  const [first, second] = [pending(), pending()]
  const running = [queue.verify('a', first.run, connected), queue.verify('b', second.run, connected)]
  let isConnected = true
  const late = pending()
  const outcome = queue.verify('c', late.run, () => isConnected)
  isConnected = false
  first.finish(true)
  second.finish(true)
  t.same([...(await Promise.all(running)), await outcome], ['accepted', 'accepted', 'disconnected'])
  t.equal(late.started(), false)
  t.equal(queue.counters.disconnected, 1)
})

t.test('a check that throws counts as rejected, and the queue continues', async t => {
  const queue = new LoginQueue()
  t.equal(await queue.verify('a', () => Promise.reject(new Error('no memory')), connected), 'rejected')
  t.equal(await queue.verify('a', () => Promise.resolve(true), connected), 'accepted')
})
