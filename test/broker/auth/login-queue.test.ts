// The queue of logins: few at a time, bounded, in turn by address, and not for those who have left.

import t from 'tap'
import { LoginQueue, type LoginOutcome } from '../../../broker/auth/login-queue.js'

/** A check that is answered by the test. */
function pending(): { run: () => Promise<boolean>; answer: (isRight: boolean) => void; started: () => boolean } {
  let resolve: (isRight: boolean) => void = () => {}
  let isStarted = false
  return {
    run: () => {
      isStarted = true
      return new Promise(done => {
        resolve = done
      })
    },
    answer: isRight => {
      resolve(isRight)
    },
    started: () => isStarted
  }
}

const here = (): boolean => true

/** Lets everything run that does not wait for the test. */
async function turn(): Promise<void> {
  await new Promise(resolve => {
    setImmediate(resolve)
  })
}

t.test('two at a time, the others wait', async t => {
  const queue = new LoginQueue()
  const checks = Array.from({ length: 4 }, pending)
  const answers = checks.map((check, i) => queue.ask(`10.0.0.${i}`, check.run, here))
  t.same(
    checks.map(check => check.started()),
    [true, true, false, false]
  )
  t.equal(queue.length, 4)
  checks[1].answer(true)
  t.equal(await answers[1], 'right')
  t.same(
    checks.map(check => check.started()),
    [true, true, true, false]
  )
  checks[0].answer(false)
  t.equal(await answers[0], 'wrong')
  for (const check of checks.slice(2)) {
    await turn()
    check.answer(true)
  }
  t.same(await Promise.all(answers), ['wrong', 'right', 'right', 'right'])
  t.equal(queue.length, 0)
})

t.test('an address that floods waits for itself', async t => {
  const queue = new LoginQueue()
  const order: string[] = []
  const ask = (address: string): Promise<LoginOutcome> =>
    queue.ask(
      address,
      async () => {
        await turn()
        order.push(address)
        return true
      },
      here
    )
  const flood = Array.from({ length: 60 }, () => ask('10.0.0.1'))
  const others = Array.from({ length: 5 }, (_, i) => ask(`10.0.1.${i}`))
  t.same(await Promise.all(others), Array(5).fill('right'))
  t.ok(order.length <= 16, `the others came after ${order.length} hashes`)
  await Promise.all(flood)
})

t.test('the queue is bounded, in all and per address, and says so', async t => {
  const queue = new LoginQueue()
  const blocked = pending()
  const answers: Promise<LoginOutcome>[] = []
  for (let i = 0; i < 200; i++) answers.push(queue.ask('10.0.0.1', blocked.run, here))
  const refused = await Promise.all(answers.slice(100))
  t.same([...new Set(refused)], ['busy'])
  for (let i = 0; i < 2000; i++) void queue.ask(`10.1.${i >> 8}.${i & 255}`, blocked.run, here)
  t.ok(queue.length <= 520, `${queue.length} wait`)
  t.ok(queue.counters.busy > 1000)
})

t.test('who has left costs nothing', async t => {
  const queue = new LoginQueue()
  const [first, second] = [pending(), pending()]
  const running = [queue.ask('a', first.run, here), queue.ask('b', second.run, here)]
  let isHere = true
  const late = pending()
  const answer = queue.ask('c', late.run, () => isHere)
  isHere = false
  first.answer(true)
  second.answer(true)
  t.same([...(await Promise.all(running)), await answer], ['right', 'right', 'gone'])
  t.equal(late.started(), false)
  t.equal(queue.counters.gone, 1)
})

t.test('a check that fails is a wrong password, and the queue goes on', async t => {
  const queue = new LoginQueue()
  t.equal(await queue.ask('a', () => Promise.reject(new Error('no memory')), here), 'wrong')
  t.equal(await queue.ask('a', () => Promise.resolve(true), here), 'right')
})
