// Access rules: what mosquitto's format says, and what no client can make of it by its name.

import t from 'tap'
import { parseAcl, type Acl, type AclSubject } from '../../../broker/auth/acl.js'

function aclOf(...lines: string[]): Acl {
  const acl = parseAcl(lines.join('\n'))
  if (Array.isArray(acl)) throw new Error(JSON.stringify(acl))
  return acl
}

/** `r`, `w`, `rw` or an empty text: what the rules grant. */
function granted(acl: Acl, topic: string, { clientId = 'c', username = null }: Partial<AclSubject> = {}): string {
  const asker = { clientId, username }
  return (acl.allows('read', topic, asker) ? 'r' : '') + (acl.allows('write', topic, asker) ? 'w' : '')
}

t.test('nothing is granted that no rule grants', t => {
  t.equal(granted(aclOf(''), 'a'), '')
  t.equal(granted(aclOf('user bob', 'topic #'), 'a'), '', 'not the rules of others')
  t.equal(granted(aclOf('user bob', 'topic #'), 'a', { username: 'bob' }), 'rw')
  t.equal(granted(aclOf('topic #'), 'a', { username: 'bob' }), '', 'not those of the anonymous')
  t.end()
})

t.test('the kinds of grant', t => {
  const acl = aclOf(
    'topic read r',
    'topic write w',
    'topic readwrite rw',
    'topic plain',
    'topic deny d',
    'topic read r and more',
    'topic read'
  )
  const of = (topic: string): string => granted(acl, topic)
  t.same(['r', 'w', 'rw', 'plain', 'd', 'r and more', 'read', 'other'].map(of), [
    'r',
    'w',
    'rw',
    'rw',
    '',
    'r',
    'rw',
    ''
  ])
  t.end()
})

t.test('denials go before grants, wherever they stand', t => {
  const acl = aclOf('topic a/#', 'topic deny a/b', 'topic deny a/c/+')
  t.same(
    ['a', 'a/b', 'a/b/c', 'a/c', 'a/c/d', 'a/c/d/e'].map(topic => granted(acl, topic)),
    ['rw', '', 'rw', 'rw', '', 'rw']
  )
  t.end()
})

t.test('a user may be named again, and has spaces if he likes', t => {
  const acl = aclOf(
    'user bob',
    'topic a',
    '',
    '# c',
    'user carol',
    'topic c',
    'user bob',
    'topic b',
    ' user the cat ',
    'topic cat'
  )
  t.same(
    ['a', 'b', 'c'].map(topic => granted(acl, topic, { username: 'bob' })),
    ['rw', 'rw', '']
  )
  t.equal(granted(acl, 'cat', { username: 'the cat' }), 'rw')
  t.end()
})

t.test('topics with $ need a rule with $', t => {
  const acl = aclOf('topic read #', 'topic read $SYS/broker/#')
  t.same(
    ['a', '$SYS/broker/uptime', '$SYS/other', '$x'].map(topic => granted(acl, topic)),
    ['r', 'r', '', '']
  )
  t.equal(granted(aclOf('topic +/a'), '$x/a'), '')
  t.end()
})

t.test('patterns count for everybody, with what the client is called', t => {
  const acl = aclOf(
    'pattern read c/%c',
    'pattern write u/%u/#',
    'pattern both/%u/%c',
    'pattern within/x%cy',
    'pattern deny u/%u/no',
    'user bob',
    'topic b'
  )
  const bob = { clientId: 'kitchen', username: 'bob' }
  t.same(
    ['c/kitchen', 'c/other', 'u/bob/x', 'u/bob/no', 'u/eve/x', 'both/bob/kitchen', 'within/xkitcheny', 'b'].map(topic =>
      granted(acl, topic, bob)
    ),
    ['r', '', 'w', '', '', 'rw', 'rw', 'rw']
  )
  const nobody = { clientId: 'kitchen', username: null }
  t.same(
    ['c/kitchen', 'u//x', 'u/null/x', 'u/%u/x', 'both//kitchen'].map(topic => granted(acl, topic, nobody)),
    ['r', '', '', '', '']
  )
  t.end()
})

t.test('no name opens more than its own place', t => {
  const acl = aclOf('user eve', 'topic own', 'pattern c/%c', 'pattern u/%u')
  for (const name of ['+', '#', 'a/b', '/', 'a+', '#b', '../x', '+/+']) {
    const asName = { clientId: name, username: 'eve' }
    t.same(
      ['c/a', `c/${name}`, 'u/eve'].map(topic => granted(acl, topic, asName)),
      ['', '', ''],
      `client id ${name}`
    )
    t.equal(granted(acl, 'own', asName), 'rw', 'rules of the user count all the same')
    t.same(
      ['u/a', `u/${name}`, 'c/c'].map(topic => granted(acl, topic, { username: name })),
      ['', '', ''],
      `username ${name}`
    )
  }
  // What means something to a replacement, or would be filled in once more.
  for (const name of ['$&', '$1', '%u', '%c', '$$', '\\']) {
    t.same(
      [`c/${name}`, 'c/eve', 'c/c/%c'].map(topic => granted(acl, topic, { clientId: name, username: 'eve' })),
      ['rw', '', ''],
      name
    )
  }
  t.end()
})

t.test('mistakes are named with their lines, all of them', t => {
  const faults = parseAcl(
    [
      'topic',
      'topic red x',
      'user',
      'foo bar',
      'topic read a/#/b',
      'pattern x+',
      '  # not a comment',
      'topic\tread x',
      'topic fine'
    ].join('\n')
  )
  t.ok(Array.isArray(faults))
  t.same(
    (faults as { line: number }[]).map(({ line }) => line),
    [1, 2, 3, 4, 5, 6, 7, 8]
  )
  t.end()
})

t.test('line ends of Windows, and a file without a last one', t => {
  t.equal(granted(aclOf('user bob\r', 'topic a\r'), 'a', { username: 'bob' }), 'rw')
  t.end()
})
