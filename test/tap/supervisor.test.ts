// A tap under supervision: what is told, how long it waits, and that nothing piles up. No clock runs here.

import { PassThrough, Readable } from 'node:stream'
import t from 'tap'
import { OperatorError } from '../../src/errors.js'
import { needsOperator, superviseTap, type SupervisedTap, type TapHandlers } from '../../src/tap/supervisor.js'
import type { OpenTap, TapSession } from '../../src/types.js'
import { waitUntil } from './traffic.js'

/** A clock that a test moves. */
class ManualTiming {
  time = 0
  /** The wait that is going on, ms. */
  waiting: number | undefined
  chance = 1
  #wake = (): void => {}

  now = (): number => this.time
  random = (): number => this.chance
  sleep = (ms: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      this.waiting = ms
      this.#wake = () => {
        this.waiting = undefined
        this.time += ms
        resolve()
      }
      signal.addEventListener('abort', () => reject(signal.reason as Error))
    })

  /** Resolves when something waits, and lets it go on. */
  async pass(): Promise<number> {
    await waitUntil('the supervisor waits', () => this.waiting !== undefined)
    const waited = this.waiting ?? 0
    this.#wake()
    return waited
  }
}

/** A session that a test feeds. */
class FakeSession implements TapSession {
  bytes = new PassThrough()
  closed = 0
  close = async (): Promise<{ captured: number }> => {
    this.closed++
    this.bytes.end()
    return { captured: 7 }
  }
}

/** Opens what the plan says, again and again its last. */
function opener(plan: readonly (TapSession | Error)[]): { open: OpenTap; calls: () => number } {
  let calls = 0
  const open: OpenTap = async () => {
    const next = plan.at(Math.min(calls++, plan.length - 1))
    if (next instanceof Error) throw next
    if (next === undefined) throw new Error('no plan')
    return next
  }
  return { open, calls: () => calls }
}

function recorder(): { told: string[]; handlers: TapHandlers } {
  const told: string[] = []
  return {
    told,
    handlers: {
      onUp: () => {
        told.push('up')
      },
      onBytes: chunk => {
        told.push(chunk.toString())
      },
      onDown: ({ code }, retryMs, { captured }) => {
        told.push(`down ${code} ${retryMs} ${captured ?? '-'}`)
      }
    }
  }
}

const options = { ports: [1883], snapLength: 66 }

t.test('every session is announced before its first byte, every end with its reason and counts', async t => {
  const sessions = [new FakeSession(), new FakeSession(), new FakeSession()] as const
  const { told, handlers } = recorder()
  const timing = new ManualTiming()
  const tap = superviseTap(opener(sessions).open, options, handlers, timing)
  sessions[0].bytes.write('one')
  await waitUntil('bytes of the first', () => told.includes('one'))
  sessions[0].bytes.end()
  await timing.pass()
  sessions[1].bytes.write('two')
  await waitUntil('bytes of the second', () => told.includes('two'))
  sessions[1].bytes.destroy(new OperatorError('tap-connection-lost', 'gone'))
  await timing.pass()
  await waitUntil('the third is up', () => told.filter(word => word === 'up').length === 3)
  sessions[2].bytes.write('last')
  t.same(await tap.close(), { captured: 7 })
  t.same(await tap.close(), { captured: 7 }, 'closing twice is fine')
  t.same(
    told,
    ['up', 'one', 'down tap-ended 1000 7', 'up', 'two', 'down tap-connection-lost 2000 7', 'up', 'last'],
    'the end that was asked for is no failure, and its last bytes are passed on'
  )
  t.ok(
    sessions.every(({ closed }) => closed > 0),
    'every session was closed'
  )
})

t.test('it waits twice as long each time, a minute at most', async t => {
  const timing = new ManualTiming()
  const { open, calls } = opener([new OperatorError('tap-refused', 'refused')])
  const tap = superviseTap(open, options, recorder().handlers, timing)
  const waits: number[] = []
  for (let i = 0; i < 9; i++) waits.push(await timing.pass())
  t.same(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000])
  timing.chance = 0
  await timing.pass()
  t.equal(await timing.pass(), 30_000, 'chance takes up to half of it away')
  await tap.close()
  const tried = calls()
  await new Promise(resolve => setImmediate(resolve))
  t.equal(calls(), tried, 'after close nothing is tried')
})

t.test('what only the operator can mend is tried at the slowest pace from the start', async t => {
  const timing = new ManualTiming()
  const { told, handlers } = recorder()
  const tap = superviseTap(
    opener([new OperatorError('tap-host-key-changed', 'changed')]).open,
    options,
    handlers,
    timing
  )
  t.equal(await timing.pass(), 60_000)
  t.equal(await timing.pass(), 60_000)
  t.equal(told[0], 'down tap-host-key-changed 60000 -')
  await tap.close()
  t.ok(needsOperator(new OperatorError('tap-login', '')))
  t.notOk(needsOperator(new OperatorError('tap-interface', '')), 'an interface may come up')
})

t.test('after a sound session it begins with the shortest wait again, after a short one it does not', async t => {
  const timing = new ManualTiming()
  const refused = new OperatorError('tap-refused', 'refused')
  const short = new FakeSession()
  const sound = new FakeSession()
  const { told, handlers } = recorder()
  const tap = superviseTap(opener([refused, refused, short, sound, refused]).open, options, handlers, timing)
  t.equal(await timing.pass(), 1_000)
  t.equal(await timing.pass(), 2_000)
  short.bytes.end()
  t.equal(await timing.pass(), 4_000)
  await waitUntil('the sound one is up', () => told.filter(word => word === 'up').length === 2)
  timing.time += 60_000
  sound.bytes.end()
  t.equal(await timing.pass(), 1_000)
  t.equal(await timing.pass(), 2_000)
  await tap.close()
})

t.test('a slow consumer holds the tap back', async t => {
  let produced = 0
  const bytes = new Readable({
    read() {
      this.push(Buffer.alloc(16_384, produced++ % 256))
    }
  })
  const session: TapSession = {
    bytes,
    close: async () => {
      bytes.destroy()
      return {}
    }
  }
  let release = (): void => {}
  let taken = 0
  const tap = superviseTap(
    opener([session]).open,
    options,
    {
      ...recorder().handlers,
      onBytes: () => {
        taken++
        return new Promise(resolve => {
          release = resolve
        })
      }
    },
    new ManualTiming()
  )
  await waitUntil('the first chunk arrives', () => taken === 1)
  for (let turn = 0; turn < 100; turn++) await new Promise(resolve => setImmediate(resolve))
  t.equal(taken, 1, 'one chunk at a time')
  t.ok(produced <= 8, 'and the source is not read on')
  release()
  await waitUntil('the second chunk arrives', () => taken === 2)
  const closing = tap.close()
  release()
  await closing
})

t.test('closing ends an attempt to open, and a wait', async t => {
  const timing = new ManualTiming()
  let tap: SupervisedTap
  const never: OpenTap = ({ signal }) =>
    new Promise((_resolve, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason as Error))
    })
  const { told, handlers } = recorder()
  tap = superviseTap(never, options, handlers, timing)
  await tap.close()
  t.same(told, [], 'that is no failure')
  tap = superviseTap(opener([new Error('odd')]).open, options, handlers, timing)
  await waitUntil('it waits', () => timing.waiting !== undefined)
  await tap.close()
  t.same(told, ['down tap-fault 1000 -'], 'an error without a code is told as a fault')
})

t.test('a tap that opens although it was told not to is closed', async t => {
  const session = new FakeSession()
  let opened: (session: TapSession) => void = () => {}
  const stubborn: OpenTap = () =>
    new Promise(resolve => {
      opened = resolve
    })
  const { told, handlers } = recorder()
  const tap = superviseTap(stubborn, options, handlers, new ManualTiming())
  const closing = tap.close()
  opened(session)
  t.same(await closing, { captured: 7 })
  t.equal(session.closed, 1)
  t.same(told, [])
})

t.test('what a handler throws is not taken for a failure of the tap', async t => {
  const session = new FakeSession()
  const closing = new Promise<unknown>((resolve, reject) => {
    const onBytes = (): void => {
      tap.close().then(resolve, reject)
      throw new Error('a bug of ours')
    }
    const tap = superviseTap(opener([session]).open, options, { ...recorder().handlers, onBytes }, new ManualTiming())
  })
  session.bytes.write('x')
  await t.rejects(closing, { message: 'a bug of ours' })
  t.ok(session.closed > 0)
})

t.test('bytes that are no sound capture end the session, and the tap is opened anew', async t => {
  const timing = new ManualTiming()
  const { told, handlers } = recorder()
  const broken = new FakeSession()
  const { open, calls } = opener([broken, new FakeSession()])
  const tap = superviseTap(
    open,
    { ports: [1883], snapLength: 0 },
    {
      ...handlers,
      onBytes: () => {
        throw new OperatorError('capture-corrupt', 'the capture is corrupt')
      }
    },
    timing
  )
  broken.bytes.write('garbage')
  t.equal(await timing.pass(), 1_000)
  await waitUntil('it is opened again', () => calls() === 2)
  t.same(told.slice(0, 2), ['up', 'down capture-corrupt 1000 7'])
  t.equal(broken.closed, 1)
  await tap.close()
})
