// Supervision of a tap: events, retry delays and backpressure, with a manual clock.

import { PassThrough, Readable } from 'node:stream'
import t from 'tap'
import { OperatorError } from '../../src/errors.js'
import { needsOperator, superviseTap, type SupervisedTap, type TapHandlers } from '../../src/tap/supervisor.js'
import type { OpenTap, TapSession } from '../../src/types.js'
import { waitUntil } from './traffic.js'

/** A manual clock. */
class ManualTiming {
  time = 0
  /** The current sleep, ms. */
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

  /** Waits for the next sleep and ends it. Returns its length, ms. */
  async pass(): Promise<number> {
    await waitUntil('the supervisor waits', () => this.waiting !== undefined)
    const waited = this.waiting ?? 0
    this.#wake()
    return waited
  }
}

/** A session whose bytes the test writes. */
class FakeSession implements TapSession {
  bytes = new PassThrough()
  closed = 0
  close = async (): Promise<{ captured: number }> => {
    this.closed++
    this.bytes.end()
    return { captured: 7 }
  }
}

/** Returns a function that opens the planned sessions in order, then the last one repeatedly. */
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

function recorder(): { events: string[]; handlers: TapHandlers } {
  const events: string[] = []
  return {
    events,
    handlers: {
      onUp: () => {
        events.push('up')
      },
      onBytes: chunk => {
        events.push(chunk.toString())
      },
      onDown: ({ code }, retryMs, { captured }) => {
        events.push(`down ${code} ${retryMs} ${captured ?? '-'}`)
      }
    }
  }
}

const options = { ports: [1883], snapLength: 66 }

t.test('reports each session before its first byte, and each end with reason and counts', async t => {
  const sessions = [new FakeSession(), new FakeSession(), new FakeSession()] as const
  const { events, handlers } = recorder()
  const timing = new ManualTiming()
  const tap = superviseTap(opener(sessions).open, options, handlers, timing)
  sessions[0].bytes.write('one')
  await waitUntil('bytes of the first', () => events.includes('one'))
  sessions[0].bytes.end()
  await timing.pass()
  sessions[1].bytes.write('two')
  await waitUntil('bytes of the second', () => events.includes('two'))
  sessions[1].bytes.destroy(new OperatorError('tap-connection-lost', 'gone'))
  await timing.pass()
  await waitUntil('the third is up', () => events.filter(word => word === 'up').length === 3)
  sessions[2].bytes.write('last')
  t.same(await tap.close(), { captured: 7 })
  t.same(await tap.close(), { captured: 7 }, 'can be closed twice')
  t.same(
    events,
    ['up', 'one', 'down tap-ended 1000 7', 'up', 'two', 'down tap-connection-lost 2000 7', 'up', 'last'],
    'close is not a failure, and the last bytes are forwarded'
  )
  t.ok(
    sessions.every(({ closed }) => closed > 0),
    'every session was closed'
  )
})

t.test('doubles the retry delay up to one minute', async t => {
  const timing = new ManualTiming()
  const { open, calls } = opener([new OperatorError('tap-refused', 'refused')])
  const tap = superviseTap(open, options, recorder().handlers, timing)
  const waits: number[] = []
  for (let i = 0; i < 9; i++) waits.push(await timing.pass())
  t.same(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000])
  timing.chance = 0
  await timing.pass()
  t.equal(await timing.pass(), 30_000, 'jitter of up to half the delay')
  await tap.close()
  const tried = calls()
  await new Promise(resolve => setImmediate(resolve))
  t.equal(calls(), tried, 'no retries after close')
})

t.test('retries errors that need the operator at the longest delay', async t => {
  const timing = new ManualTiming()
  const { events, handlers } = recorder()
  const tap = superviseTap(
    opener([new OperatorError('tap-host-key-changed', 'changed')]).open,
    options,
    handlers,
    timing
  )
  t.equal(await timing.pass(), 60_000)
  t.equal(await timing.pass(), 60_000)
  t.equal(events[0], 'down tap-host-key-changed 60000 -')
  await tap.close()
  t.ok(needsOperator(new OperatorError('tap-login', '')))
  t.notOk(needsOperator(new OperatorError('tap-interface', '')), 'an interface may come up')
})

t.test('resets the retry delay after a stable session, but not after a short one', async t => {
  const timing = new ManualTiming()
  const refused = new OperatorError('tap-refused', 'refused')
  const short = new FakeSession()
  const stable = new FakeSession()
  const { events, handlers } = recorder()
  const tap = superviseTap(opener([refused, refused, short, stable, refused]).open, options, handlers, timing)
  t.equal(await timing.pass(), 1_000)
  t.equal(await timing.pass(), 2_000)
  short.bytes.end()
  t.equal(await timing.pass(), 4_000)
  await waitUntil('the stable session is up', () => events.filter(word => word === 'up').length === 2)
  timing.time += 60_000
  stable.bytes.end()
  t.equal(await timing.pass(), 1_000)
  t.equal(await timing.pass(), 2_000)
  await tap.close()
})

t.test('applies backpressure from a slow consumer', async t => {
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
  t.ok(produced <= 8, 'the source is not read further')
  release()
  await waitUntil('the second chunk arrives', () => taken === 2)
  const closing = tap.close()
  release()
  await closing
})

t.test('close ends an attempt to open and a retry delay', async t => {
  const timing = new ManualTiming()
  let tap: SupervisedTap
  const never: OpenTap = ({ signal }) =>
    new Promise((_resolve, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason as Error))
    })
  const { events, handlers } = recorder()
  tap = superviseTap(never, options, handlers, timing)
  await tap.close()
  t.same(events, [], 'not reported as failure')
  tap = superviseTap(opener([new Error('odd')]).open, options, handlers, timing)
  await waitUntil('it waits', () => timing.waiting !== undefined)
  await tap.close()
  t.same(events, ['down tap-fault 1000 -'], 'an error without a code is reported as tap-fault')
})

t.test('closes a tap that opens despite the abort signal', async t => {
  const session = new FakeSession()
  let opened: (session: TapSession) => void = () => {}
  const ignoresAbort: OpenTap = () =>
    new Promise(resolve => {
      opened = resolve
    })
  const { events, handlers } = recorder()
  const tap = superviseTap(ignoresAbort, options, handlers, new ManualTiming())
  const closing = tap.close()
  opened(session)
  t.same(await closing, { captured: 7 })
  t.equal(session.closed, 1)
  t.same(events, [])
})

t.test('rethrows errors of handlers instead of reporting a tap failure', async t => {
  const session = new FakeSession()
  const closing = new Promise<unknown>((resolve, reject) => {
    const onBytes = (): void => {
      tap.close().then(resolve, reject)
      throw new Error('handler bug')
    }
    const tap = superviseTap(opener([session]).open, options, { ...recorder().handlers, onBytes }, new ManualTiming())
  })
  session.bytes.write('x')
  await t.rejects(closing, { message: 'handler bug' })
  t.ok(session.closed > 0)
})

t.test('ends the session on invalid capture data and reopens the tap', async t => {
  const timing = new ManualTiming()
  const { events, handlers } = recorder()
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
  t.same(events.slice(0, 2), ['up', 'down capture-corrupt 1000 7'])
  t.equal(broken.closed, 1)
  await tap.close()
})
