// The life of an alert: raised once, reminded of, cleared, whatever the clock does.

import t from 'tap'
import { AlertBook, type Alert } from '../../src/alert/alert.js'

const LIFE = { reminderSeconds: 10, clearAfterSeconds: 30 }

function description(time: number): Omit<Alert, 'id' | 'state'> {
  return {
    time,
    subject: { scope: 'client', clientId: 'a', username: null, address: '192.0.2.7', port: 1, broker: null },
    rule: 'jump',
    value: time,
    limit: 0,
    score: 1,
    average: 1,
    movingAverage: 1,
    previousMovingAverage: 0,
    records: 10,
    contributions: [],
    detector: 'iforest',
    model: 'x',
    response: 'observe'
  }
}

function bookOf(life = LIFE) {
  const book = new AlertBook(life)
  return { book, exceed: (key: string, time: number) => book.exceed(key, time, () => description(time)) }
}

t.test('raised once, continuing at each reminder, cleared once', async t => {
  const { book, exceed } = bookOf()
  t.match(exceed('a', 100), { id: 1, state: 'raised', time: 100 })
  for (const time of [100.2, 105, 109.9]) t.equal(exceed('a', time), undefined)
  t.match(exceed('a', 110), { id: 1, state: 'continuing', value: 110 })
  t.equal(exceed('a', 119), undefined)
  t.same(book.clear(148), [])
  t.equal(book.openCount, 1)
  t.match(
    book.clear(149),
    [{ id: 1, state: 'cleared', time: 149, value: 110 }],
    'thirty seconds after it was last exceeded'
  )
  t.same(book.clear(500), [])
  t.equal(book.openCount, 0)
  t.match(exceed('a', 500), { id: 2, state: 'raised' })
  t.equal(book.raised, 2)
})

t.test('each subject has its own', async t => {
  const { book, exceed } = bookOf()
  t.match(exceed('a', 0), { id: 1 })
  t.match(exceed('b', 5), { id: 2, state: 'raised' })
  t.match(exceed('a', 29), { id: 1, state: 'continuing' })
  t.match(book.clear(35), [{ id: 2 }])
  t.match(book.clear(59), [{ id: 1 }])
})

t.test('nothing is described that is not said', async t => {
  const book = new AlertBook(LIFE)
  let described = 0
  const describe = () => {
    described++
    return description(0)
  }
  for (let time = 0; time < 10; time++) book.exceed('a', time, describe)
  t.equal(described, 1)
})

t.test('a clock that is set back does not make an alert last until the old time comes again', async t => {
  const { book, exceed } = bookOf()
  exceed('a', 10_000)
  t.equal(exceed('a', 9_999.5), undefined, 'a record that overtook another is no such clock')
  t.match(exceed('a', 100), { id: 1, state: 'continuing' })
  t.equal(exceed('a', 105), undefined)
  t.same(book.clear(134), [])
  t.match(book.clear(135), [{ id: 1, state: 'cleared' }])
  exceed('b', 10_000)
  t.match(book.clear(100), [{ id: 2, state: 'cleared' }])
})

t.test('an attacker under ever new names cannot fill the memory', async t => {
  const { book, exceed } = bookOf()
  for (let i = 0; i < 5_000; i++) exceed(`name ${i}`, i / 1_000)
  t.equal(book.openCount, 1_000)
  t.equal(book.raised, 1_000)
  t.equal(book.suppressed, 4_000)
  t.match(exceed('name 7', 20), { state: 'continuing' }, 'those that are known go on')
  t.equal(book.clear(100).length, 1_000)
  t.match(exceed('name 4999', 100), { state: 'raised' })
})
