// Selection of members of a shared subscription.

import t from 'tap'
import { OFFLINE, READY, SharedGroup, UNABLE, WAITING, type Readiness } from '../../../broker/core/shared-group.js'

interface Member {
  name: string
  readiness: Readiness
}

function makeGroup(...readiness: Readiness[]): { group: SharedGroup<Member>; members: Member[] } {
  const group = new SharedGroup<Member>()
  const members = readiness.map((one, i) => ({ name: String(i), readiness: one }))
  for (const member of members) join(group, member)
  return { group, members }
}

function join(group: SharedGroup<Member>, member: Member, qos: 0 | 1 | 2 = 1): boolean {
  return group.add(member, {
    filter: '$share/g/t',
    qos,
    noLocal: false,
    retainAsPublished: true,
    retainHandling: 0,
    identifier: 5
  })
}

/** Returns which members get the next `count` messages. */
function turns(group: SharedGroup<Member>, count: number): string {
  return Array.from({ length: count }, () => group.next(({ session }) => session.readiness)?.session.name ?? '-').join(
    ''
  )
}

t.test('ready members take turns, one message each', t => {
  const { group } = makeGroup(READY, READY, READY)
  t.equal(turns(group, 7), '0120120')
  t.equal(turns(makeGroup(READY).group, 3), '000')
  t.equal(turns(new SharedGroup<Member>(), 2), '--')
  t.end()
})

t.test('more ready members are preferred, equally ready ones take turns', t => {
  const cases: [Readiness[], string][] = [
    [[WAITING, READY, OFFLINE], '1111'],
    [[OFFLINE, WAITING, UNABLE], '1111'],
    [[UNABLE, OFFLINE, UNABLE], '1111'],
    [[UNABLE, UNABLE], '----'],
    [[READY, WAITING, READY], '0202'],
    [[OFFLINE, WAITING, WAITING], '1212'],
    [[OFFLINE, UNABLE, OFFLINE], '0202']
  ]
  for (const [readiness, expected] of cases)
    t.equal(turns(makeGroup(...readiness).group, 4), expected, readiness.join())
  t.end()
})

t.test('a member that was skipped is next when it is ready', t => {
  const { group, members } = makeGroup(READY, READY, READY)
  t.equal(turns(group, 1), '0')
  members[1].readiness = WAITING
  t.equal(turns(group, 2), '20')
  members[1].readiness = READY
  t.equal(turns(group, 4), '1201')
  t.end()
})

t.test('no further member is checked after a ready one', t => {
  const { group, members } = makeGroup(WAITING, READY, READY)
  const checked: string[] = []
  group.next(({ session }) => {
    checked.push(session.name)
    return session.readiness
  })
  t.same(checked, ['0', '1'])
  checked.splice(0)
  for (const member of members) member.readiness = UNABLE
  t.equal(
    group.next(({ session }) => {
      checked.push(session.name)
      return session.readiness
    }),
    undefined
  )
  t.same(checked.sort(), ['0', '1', '2'])
  t.end()
})

t.test('a removed member gets nothing, and a member that subscribes again keeps its turn', t => {
  const { group, members } = makeGroup(READY, READY, READY)
  t.equal(turns(group, 1), '0')
  t.equal(group.remove(members[1]), true)
  t.equal(group.remove(members[1]), false)
  t.equal(group.size, 2)
  t.equal(turns(group, 4), '2020')
  t.equal(join(group, members[2], 2), false, 'already a member')
  t.match(group.get(members[2]), {
    qos: 2,
    retainAsPublished: true,
    share: '$share/g/t',
    identifiers: Buffer.from([0x0b, 5])
  })
  t.equal(turns(group, 2), '20')
  t.equal(join(group, members[1]), true)
  t.equal(turns(group, 3), '201')
  t.same([...group.sessions()].map(({ name }) => name).sort(), ['0', '1', '2'])
  for (const member of members) group.remove(member)
  t.equal(group.size, 0)
  t.equal(turns(group, 1), '-')
  t.end()
})
