// Routing: once per session with its matching subscriptions combined, and to one member of each shared subscription.

import t from 'tap'
import { Router, type Route } from '../../../broker/core/router.js'
import type { QoS } from '../../../broker/core/message.js'
import { READY } from '../../../broker/core/shared-group.js'
import type { Subscription, Target } from '../../../broker/core/subscription.js'
import { FieldReader } from '../../../broker/protocol/field-reader.js'
import { Random } from '../../../models/random.js'
import { matchesNaively, randomFilter, randomTopic } from './random-topics.js'

const SESSIONS = ['one', 'two', 'three', '__proto__', 'constructor']
const GROUPS = ['g', 'h', '__proto__', 'constructor']

function subscription(filter: string, qos: QoS = 0, rest: Partial<Subscription> = {}): Subscription {
  return { filter, qos, noLocal: false, retainAsPublished: false, retainHandling: 0, identifier: undefined, ...rest }
}

/** Decodes subscription identifiers. */
function identifiersIn(bytes: Buffer): number[] {
  const fields = new FieldReader(bytes)
  const found: number[] = []
  while (fields.left > 0) {
    if (fields.byte() !== 0x0b) throw new Error('not a subscription identifier')
    found.push(fields.varint())
  }
  return found
}

interface Expected {
  session: string
  qos: number
  retainAsPublished: boolean
  identifiers: number[]
  own?: Omit<Expected, 'session' | 'own'>
}

function combined(subscriptions: readonly Subscription[]): Omit<Expected, 'session' | 'own'> {
  let qos = 0
  for (const one of subscriptions) if (one.qos > qos) qos = one.qos
  const identifiers = new Set<number>()
  for (const { identifier } of subscriptions) if (identifier !== undefined) identifiers.add(identifier)
  return {
    qos,
    retainAsPublished: subscriptions.some(one => one.retainAsPublished),
    identifiers: [...identifiers].sort((a, b) => a - b)
  }
}

/** Computes the expected route from all subscriptions. */
function expectedRoute(
  all: ReadonlyMap<string, ReadonlyMap<string, Subscription>>,
  topic: string
): { targets: Expected[]; groups: string[] } {
  const targets: Expected[] = []
  const groups = new Map<string, string[]>()
  for (const [session, subscriptions] of all) {
    const matching: Subscription[] = []
    for (const one of subscriptions.values()) {
      const [, group, shared] = (/^\$share\/([^/]+)\/(.+)$/.exec(one.filter) ?? []) as (string | undefined)[]
      if (!matchesNaively(shared ?? one.filter, topic)) continue
      if (group === undefined) matching.push(one)
      else groups.set(one.filter, [...(groups.get(one.filter) ?? []), `${session} ${one.qos} ${one.identifier}`])
    }
    if (matching.length === 0) continue
    const own = matching.filter(({ noLocal }) => !noLocal)
    targets.push({ session, ...combined(matching), ...(own.length > 0 && { own: combined(own) }) })
  }
  return { targets: targets.sort(bySession), groups: [...groups].map(([, members]) => members.sort().join()).sort() }
}

function bySession(a: Expected, b: Expected): number {
  return a.session < b.session ? -1 : 1
}

function optionsOf({ qos, retainAsPublished, identifiers }: Target<string>): Omit<Expected, 'session' | 'own'> {
  return { qos, retainAsPublished, identifiers: identifiersIn(identifiers).sort((a, b) => a - b) }
}

function foundRoute({ targets, groups }: Route<string>): ReturnType<typeof expectedRoute> {
  return {
    targets: targets
      .map(target => ({
        session: target.session,
        ...optionsOf(target),
        ...(target.ownMessages !== undefined && { own: optionsOf(target.ownMessages) })
      }))
      .sort(bySession),
    groups: groups
      .map(group =>
        [...group.sessions()]
          .map(session => {
            const member = group.get(session) as Target<string>
            return `${session} ${member.qos} ${identifiersIn(member.identifiers)[0]}`
          })
          .sort()
          .join()
      )
      .sort()
  }
}

t.test('same result as a check of every subscription, after each change', t => {
  const random = new Random(5)
  const router = new Router<string>()
  const all = new Map(SESSIONS.map(session => [session, new Map<string, Subscription>()]))
  // Few topics, used repeatedly, to test the route cache.
  const topics = Array.from({ length: 30 }, () => randomTopic(random))
  const filters = Array.from({ length: 150 }, () =>
    random.integer(4) === 0
      ? `$share/${GROUPS[random.integer(GROUPS.length)]}/${randomFilter(random)}`
      : randomFilter(random)
  )
  const different: unknown[] = []
  let targets = 0
  for (let step = 0; step < 1_500; step++) {
    const session = SESSIONS[random.integer(SESSIONS.length)]
    const filter = filters[random.integer(filters.length)]
    const subscriptions = all.get(session) as Map<string, Subscription>
    if (random.integer(2) === 0) {
      const one = subscription(filter, random.integer(3) as QoS, {
        noLocal: random.integer(2) === 0,
        retainAsPublished: random.integer(2) === 0,
        identifier: random.integer(2) === 0 ? undefined : 1 + random.integer(3) * 100
      })
      router.add(session, one)
      subscriptions.set(filter, one)
    } else {
      router.remove(session, filter)
      subscriptions.delete(filter)
    }
    for (let i = 0; i < 2; i++) {
      const topic = topics[random.integer(topics.length)]
      const [found, expected] = [foundRoute(router.route(topic)), expectedRoute(all, topic)]
      targets += found.targets.length + found.groups.length
      if (JSON.stringify(found) !== JSON.stringify(expected)) different.push({ topic, found, expected })
    }
  }
  t.same(different.slice(0, 1), [])
  t.ok(targets > 3_000, `${targets} targets`)
  const shared = [...all.values()]
    .flatMap(subscriptions => [...subscriptions.keys()])
    .filter(filter => filter.startsWith('$share/')).length
  t.equal(router.shared, shared)
  for (const [session, subscriptions] of all) for (const filter of subscriptions.keys()) router.remove(session, filter)
  t.same(
    topics.flatMap(topic => [...router.route(topic).targets, ...router.route(topic).groups]),
    []
  )
  t.equal(router.shared, 0)
  t.end()
})

t.test(
  'one target for a session, with the highest QoS and each identifier once [MQTT-3.3.4-2] to [MQTT-3.3.4-4]',
  t => {
    const router = new Router<string>()
    router.add('s', subscription('a/#', 1, { identifier: 7 }))
    router.add('s', subscription('a/+', 2, { identifier: 268_435_455 }))
    router.add('s', subscription('a/b', 0, { identifier: 7, retainAsPublished: true }))
    router.add('s', subscription('+/b', 0))
    const {
      targets: [target, ...others]
    } = router.route('a/b')
    t.same(others, [])
    t.match(target, { session: 's', qos: 2, retainAsPublished: true, share: '' })
    t.same(identifiersIn(target.identifiers), [7, 268_435_455])
    t.match(router.route('x/b').targets, [{ qos: 0, retainAsPublished: false, identifiers: Buffer.alloc(0) }])
    t.end()
  }
)

t.test('No Local excludes own messages from its subscription only [MQTT-3.8.3-3]', t => {
  const router = new Router<string>()
  router.add('s', subscription('a/b', 2, { noLocal: true, identifier: 1, retainAsPublished: true }))
  t.equal(router.route('a/b').targets[0].ownMessages, undefined)
  t.equal(router.route('a/b').targets[0].qos, 2, 'messages of others')
  router.add('s', subscription('a/+', 1, { identifier: 2 }))
  const [{ ownMessages, ...others }] = router.route('a/b').targets
  t.match(others, { qos: 2, retainAsPublished: true })
  t.match(ownMessages, { session: 's', qos: 1, retainAsPublished: false, share: '' })
  t.same(identifiersIn(ownMessages?.identifiers ?? Buffer.alloc(0)), [2])
  router.remove('s', 'a/b')
  t.match(router.route('a/b').targets, [{ qos: 1, ownMessages: { qos: 1 } }])
  t.end()
})

t.test('shared subscriptions with different names or filters are independent', t => {
  const router = new Router<string>()
  for (const share of ['$share/g/a/#', '$share/h/a/#', '$share/g/a/b'])
    for (const session of ['one', 'two']) router.add(session, subscription(share, 1, { identifier: 9 }))
  router.add('one', subscription('a/b', 0))
  const { targets, groups } = router.route('a/b')
  t.match(
    targets,
    [{ session: 'one', qos: 0, identifiers: Buffer.alloc(0) }],
    'shared subscriptions do not affect others'
  )
  t.equal(groups.length, 3)
  t.same(
    groups.map(group => group.next(() => READY)?.session),
    ['one', 'one', 'one']
  )
  t.same(
    groups.map(group => group.next(() => READY)?.session),
    ['two', 'two', 'two']
  )
  t.equal(router.shared, 6)
  t.equal(router.group('$share/h/a/#')?.get('one')?.share, '$share/h/a/#')
  router.remove('two', '$share/h/a/#')
  router.remove('one', '$share/h/a/#')
  router.remove('one', '$share/h/a/#')
  t.equal(router.group('$share/h/a/#'), undefined)
  t.equal(router.group('a/b'), undefined, 'not a shared subscription')
  t.equal(router.route('a/b').groups.length, 2)
  t.equal(router.shared, 4)
  t.end()
})

t.test('turns are kept when members change', t => {
  const router = new Router<string>()
  const share = '$share/g/t'
  for (const session of ['one', 'two', 'three']) router.add(session, subscription(share, 1))
  const turn = (): string | undefined => router.route('t').groups[0].next(() => READY)?.session
  t.equal(turn(), 'one')
  router.add('four', subscription(share, 1))
  router.add('three', subscription(share, 2))
  router.remove('two', share)
  t.same([turn(), turn(), turn(), turn()], ['three', 'one', 'four', 'three'])
  t.end()
})

t.test('more and longer topics than the route cache holds', t => {
  const router = new Router<string>()
  router.add('s', subscription('a/+', 1))
  const long = `a/${'x'.repeat(60_000)}`
  t.equal(router.route(long).targets.length, 1)
  router.remove('s', 'a/+')
  t.equal(router.route(long).targets.length, 0)
  router.add('s', subscription('a/+', 1))
  let wrong = 0
  for (let i = 0; i < 11_000; i++) if (router.route(`a/${i}`).targets.length !== 1) wrong++
  t.equal(wrong, 0)
  router.add('other', subscription('#', 0))
  for (let i = 0; i < 11_000; i++) if (router.route(`a/${i}`).targets.length !== 2) wrong++
  t.equal(wrong, 0)
  t.end()
})
