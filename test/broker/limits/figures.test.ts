// The bookkeeping of limits with a clock of the test's own: paces, logins, places, and what the log says.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import t from 'tap'
import { textOf } from '../../../broker/process/log.js'
import { Admission } from '../../../broker/limits/admission.js'
import { LIMITS } from '../../../broker/limits/catalog.js'
import { LoginAttempts } from '../../../broker/limits/logins.js'
import { TokenBucket } from '../../../broker/limits/token-bucket.js'
import { LimitCounters } from '../../../broker/limits/limit-counters.js'
import type { ListenerSettings } from '../../../broker/listeners/accepted-connection.js'

const DOCS = fileURLToPath(new URL('../../../../docs/limits.md', import.meta.url))

/** A tally whose lines are kept, and the time that it sees. */
function watchedTally(): { tally: LimitCounters; lines: string[]; clock: { ms: number } } {
  const lines: string[] = []
  const clock = { ms: 0 }
  const log = pino(
    { base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: label => ({ level: label }) } },
    {
      write: (line: string) => {
        lines.push(line)
      }
    }
  )
  return { tally: new LimitCounters(log, () => clock.ms), lines, clock }
}

t.test("a pace lets a second's worth through at once, then as much as it says", t => {
  let now = 0
  const pace = new TokenBucket(10, () => now)
  pace.spend(9)
  t.equal(pace.waitMs(), 0)
  pace.spend(11)
  t.equal(pace.waitMs(), 1_100, 'ten too many: a second, and a tenth for the next')
  now = 1_100
  t.equal(pace.waitMs(), 0)
  now = 1e9
  pace.spend(10)
  t.ok(pace.waitMs() > 0, 'what was not used does not add up')
  t.end()
})

t.test('logins are counted by address and by username', t => {
  let now = 0
  const attempts = new LoginAttempts({ perAddress: 3, perUser: 5, window: 1_000 }, () => now)
  const attempt = (address: string, user: string, isRight: boolean): string => {
    let result = 'waits'
    attempts.take(
      address,
      user,
      end => {
        result = isRight ? 'in' : 'tried'
        end(isRight)
      },
      refusal => {
        result = refusal
      }
    )
    return result
  }
  const fail = (address: string, user: string): string => attempt(address, user, false)
  const succeed = (address: string, user: string): string => attempt(address, user, true)
  t.equal(succeed('192.0.2.1', 'alice'), 'in')
  t.same(
    [1, 2, 3, 4].map(n => fail('192.0.2.2', `u${n}`)),
    ['tried', 'tried', 'tried', 'loginsPerAddress']
  )
  t.equal(succeed('192.0.2.2', 'alice'), 'loginsPerAddress', 'not even with the right password')
  t.same(
    [3, 4, 5, 6, 7, 8].map(n => fail(`192.0.2.${n}`, 'alice')),
    [...Array<string>(5).fill('tried'), 'loginsPerUser']
  )
  t.equal(succeed('192.0.2.1', 'alice'), 'in', 'where it was right before, strangers do not lock it out')
  t.same(
    [1, 2, 3, 4].map(() => fail('192.0.2.1', 'alice')),
    ['tried', 'tried', 'tried', 'loginsPerAddress'],
    'nor may it guess for ever'
  )
  now = 1_001
  t.equal(fail('192.0.2.2', 'x'), 'tried', 'a while later')
  for (let i = 0; i < 20_000; i++) fail(`198.51.${i >> 8}.${i & 255}`, `guess ${i}`)
  t.equal(fail('192.0.2.99', 'y'), 'tried', 'many addresses are forgotten, not kept for ever')
  t.end()
})

t.test('logins at once wait for each other where too many could fail, and all that are right come in', t => {
  const attempts = new LoginAttempts({ perAddress: 3, perUser: null, window: 1_000 }, () => 0)
  const underWay: ((isRight: boolean) => void)[] = []
  const refused: string[] = []
  const begin = (user: string): void => {
    attempts.take(
      '192.0.2.1',
      user,
      end => {
        underWay.push(end)
      },
      refusal => {
        refused.push(refusal)
      }
    )
  }
  for (let i = 0; i < 60; i++) begin(`u${i}`)
  t.equal(underWay.length, 3)
  for (let i = 0; i < 60; i++) underWay[i]?.(true)
  t.same([underWay.length, refused], [60, []])
  for (let i = 60; i < 70; i++) begin(`u${i}`)
  t.equal(underWay.length, 63)
  for (let i = 60; i < 63; i++) underWay[i]?.(false)
  t.same(
    [underWay.length, refused],
    [63, Array<string>(7).fill('loginsPerAddress')],
    'as many guesses as one after the other'
  )
  t.end()
})

t.test('places are given, taken back once, and counted by address', t => {
  const { tally } = watchedTally()
  const admission = new Admission({ connections: 4, connectionsPerAddress: 2 }, tally)
  const one = { maxConnections: 2 } as ListenerSettings
  const other = { maxConnections: null } as ListenerSettings
  const [first, second] = [admission.enter(one, 'a'), admission.enter(one, 'a')]
  t.equal(admission.enter(one, 'b'), undefined)
  t.same(
    [first, second].map(place => place?.identify('a')),
    [true, true]
  )
  const third = admission.enter(other, 'a')
  t.equal(third?.identify('a'), false)
  third?.release()
  third?.release()
  t.equal(admission.open, 2)
  first?.release()
  t.equal(admission.enter(other, 'a')?.identify('a'), true)
  admission.enter(other, 'c')
  admission.enter(other, 'd')
  t.equal(admission.enter(other, 'e'), undefined)
  t.match(tally.counters, { connections: 1, maxConnections: 1, connectionsPerAddress: 1 })
  t.end()
})

t.test('the log says it once in a while, the counter each time', t => {
  const { tally, lines, clock } = watchedTally()
  for (let i = 0; i < 100; i++) tally.hit('connectionsPerAddress', '192.0.2.7')
  tally.hit('connectionsPerAddress', '192.0.2.8')
  t.equal(lines.length, 2)
  t.match(JSON.parse(lines[0]), {
    level: 'warn',
    limit: 'connectionsPerAddress',
    address: '192.0.2.7',
    msg: /^Limit connectionsPerAddress: 192\.0\.2\.7 has too many/
  })
  clock.ms = 10_000
  tally.hit('connectionsPerAddress', '192.0.2.7')
  t.match(JSON.parse(lines[2]), { more: 99 })
  clock.ms = 12_000
  for (let i = 0; i < 10_000; i++) tally.hit('malformed', `198.51.${i >> 8}.${i & 255}`)
  t.ok(lines.length < 30, `${lines.length} lines: many addresses do not fill a disk`)
  t.match(tally.counters, { connectionsPerAddress: 102, malformed: 10_000 })
  t.end()
})

t.test('the docs name every limit, and their fail2ban filter finds the address and nothing else', t => {
  const docs = readFileSync(DOCS, 'utf8')
  for (const name of Object.keys(LIMITS)) t.match(docs, `| \`${name}\` |`)
  const filters = [...docs.matchAll(/^(?:failregex = | {12})(\^.*)$/gm)].map(
    match => new RegExp(match[1].replace('<HOST>', '(?<host>[0-9a-f.:]+)'))
  )
  t.equal(filters.length, 2, 'one for each form of the log')
  const found = (line: string): string | undefined =>
    filters.map(filter => filter.exec(line)?.groups?.host).find(host => host !== undefined)
  const forged = 'x","limit":"login","address":"203.0.113.1"} WARN  Limit login: 203.0.113.1 failed'
  for (const address of ['192.0.2.7', '2001:db8::7']) {
    const { tally, lines } = watchedTally()
    tally.hit('login', address, { client: forged, username: forged })
    const [json] = lines
    // fail2ban cuts the date out of a line before it looks, and journald puts a name before it.
    for (const line of [
      json,
      json.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/, ''),
      `pi artemis[123]: ${json}`,
      textOf(json),
      textOf(json).replace(/^\S+ \S+/, '')
    ]) {
      t.equal(found(line), address, line)
    }
  }
  const innocent = JSON.stringify({
    level: 'debug',
    time: '2026-01-01T00:00:00.000Z',
    client: forged,
    msg: `A client connected: ${forged}`
  })
  for (const line of [innocent, textOf(innocent)]) t.equal(found(line), undefined, line)
  t.end()
})
