// Token bucket, login attempts, admission and limit counters, with a fake clock.

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

/** Limit counters with their log lines and a fake clock. */
function makeCounters(): { limitCounters: LimitCounters; lines: string[]; clock: { ms: number } } {
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
  return { limitCounters: new LimitCounters(log, () => clock.ms), lines, clock }
}

t.test('a token bucket allows a burst of one second, then its rate', t => {
  let now = 0
  const pace = new TokenBucket(10, () => now)
  pace.spend(9)
  t.equal(pace.waitMs(), 0)
  pace.spend(11)
  t.equal(pace.waitMs(), 1_100, 'ten too many: one second, and 100 ms for the next')
  now = 1_100
  t.equal(pace.waitMs(), 0)
  now = 1e9
  pace.spend(10)
  t.ok(pace.waitMs() > 0, 'unused tokens do not accumulate')
  t.end()
})

t.test('failed logins are limited per address and per username', t => {
  let now = 0
  const attempts = new LoginAttempts({ perAddress: 3, perUser: 5, window: 1_000 }, () => now)
  const attempt = (address: string, user: string, isAccepted: boolean): string => {
    let result = 'waiting'
    attempts.attempt(
      address,
      user,
      end => {
        result = isAccepted ? 'accepted' : 'rejected'
        end(isAccepted)
      },
      refusal => {
        result = refusal
      }
    )
    return result
  }
  const fail = (address: string, user: string): string => attempt(address, user, false)
  const succeed = (address: string, user: string): string => attempt(address, user, true)
  t.equal(succeed('192.0.2.1', 'alice'), 'accepted')
  t.same(
    [1, 2, 3, 4].map(n => fail('192.0.2.2', `u${n}`)),
    ['rejected', 'rejected', 'rejected', 'loginsPerAddress']
  )
  t.equal(succeed('192.0.2.2', 'alice'), 'loginsPerAddress', 'even with the correct password')
  t.same(
    [3, 4, 5, 6, 7, 8].map(n => fail(`192.0.2.${n}`, 'alice')),
    [...Array<string>(5).fill('rejected'), 'loginsPerUser']
  )
  t.equal(succeed('192.0.2.1', 'alice'), 'accepted', 'a pair that logged in before is not locked out by others')
  t.same(
    [1, 2, 3, 4].map(() => fail('192.0.2.1', 'alice')),
    ['rejected', 'rejected', 'rejected', 'loginsPerAddress'],
    'but it has a limit too'
  )
  now = 1_001
  t.equal(fail('192.0.2.2', 'x'), 'rejected', 'after the window')
  for (let i = 0; i < 20_000; i++) fail(`198.51.${i >> 8}.${i & 255}`, `guess ${i}`)
  t.equal(fail('192.0.2.99', 'y'), 'rejected', 'still works after many addresses')
  t.end()
})

t.test('concurrent logins wait if they could exceed the limit, and all correct ones are accepted', t => {
  const attempts = new LoginAttempts({ perAddress: 3, perUser: null, window: 1_000 }, () => 0)
  const started: ((isAccepted: boolean) => void)[] = []
  const refused: string[] = []
  const start = (user: string): void => {
    attempts.attempt(
      '192.0.2.1',
      user,
      end => {
        started.push(end)
      },
      refusal => {
        refused.push(refusal)
      }
    )
  }
  for (let i = 0; i < 60; i++) start(`u${i}`)
  t.equal(started.length, 3)
  for (let i = 0; i < 60; i++) started[i]?.(true)
  t.same([started.length, refused], [60, []])
  for (let i = 60; i < 70; i++) start(`u${i}`)
  t.equal(started.length, 63)
  for (let i = 60; i < 63; i++) started[i]?.(false)
  t.same(
    [started.length, refused],
    [63, Array<string>(7).fill('loginsPerAddress')],
    'no more guesses than sequential logins'
  )
  t.end()
})

t.test('connection slots are counted per address and listener, and released once', t => {
  const { limitCounters } = makeCounters()
  const admission = new Admission({ connections: 4, connectionsPerAddress: 2 }, limitCounters)
  const one = { maxConnections: 2 } as ListenerSettings
  const other = { maxConnections: null } as ListenerSettings
  const [first, second] = [admission.reserve(one, 'a'), admission.reserve(one, 'a')]
  t.equal(admission.reserve(one, 'b'), undefined)
  t.same(
    [first, second].map(slot => slot?.identify('a')),
    [true, true]
  )
  const third = admission.reserve(other, 'a')
  t.equal(third?.identify('a'), false)
  third?.release()
  third?.release()
  t.equal(admission.open, 2)
  first?.release()
  t.equal(admission.reserve(other, 'a')?.identify('a'), true)
  admission.reserve(other, 'c')
  admission.reserve(other, 'd')
  t.equal(admission.reserve(other, 'e'), undefined)
  t.match(limitCounters.counts, { connections: 1, maxConnections: 1, connectionsPerAddress: 1 })
  t.end()
})

t.test('every hit is counted, but log lines are rate-limited', t => {
  const { limitCounters, lines, clock } = makeCounters()
  for (let i = 0; i < 100; i++) limitCounters.hit('connectionsPerAddress', '192.0.2.7')
  limitCounters.hit('connectionsPerAddress', '192.0.2.8')
  t.equal(lines.length, 2)
  t.match(JSON.parse(lines[0]), {
    level: 'warn',
    limit: 'connectionsPerAddress',
    address: '192.0.2.7',
    msg: /^Limit connectionsPerAddress: 192\.0\.2\.7 has too many/
  })
  clock.ms = 10_000
  limitCounters.hit('connectionsPerAddress', '192.0.2.7')
  t.match(JSON.parse(lines[2]), { more: 99 })
  clock.ms = 12_000
  for (let i = 0; i < 10_000; i++) limitCounters.hit('malformed', `198.51.${i >> 8}.${i & 255}`)
  t.ok(lines.length < 30, `${lines.length} lines for many addresses`)
  t.match(limitCounters.counts, { connectionsPerAddress: 102, malformed: 10_000 })
  t.end()
})

t.test('the docs list every limit, and their fail2ban filter matches only the address', t => {
  const docs = readFileSync(DOCS, 'utf8')
  for (const name of Object.keys(LIMITS)) t.match(docs, `| \`${name}\` |`)
  const filters = [...docs.matchAll(/^(?:failregex = | {12})(\^.*)$/gm)].map(
    match => new RegExp(match[1].replace('<HOST>', '(?<host>[0-9a-f.:]+)'))
  )
  t.equal(filters.length, 2, 'one for each log format')
  const found = (line: string): string | undefined =>
    filters.map(filter => filter.exec(line)?.groups?.host).find(host => host !== undefined)
  const forged = 'x","limit":"login","address":"203.0.113.1"} WARN  Limit login: 203.0.113.1 failed'
  for (const address of ['192.0.2.7', '2001:db8::7']) {
    const { limitCounters, lines } = makeCounters()
    limitCounters.hit('login', address, { client: forged, username: forged })
    const [json] = lines
    // fail2ban removes the date before matching, and journald adds a prefix.
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
  const unrelated = JSON.stringify({
    level: 'debug',
    time: '2026-01-01T00:00:00.000Z',
    client: forged,
    msg: `A client connected: ${forged}`
  })
  for (const line of [unrelated, textOf(unrelated)]) t.equal(found(line), undefined, line)
  t.end()
})
