// ACL files in mosquitto's format, and client names that try to abuse them.

import t from 'tap'
import { parseAcl, type Acl, type AclSubject } from '../../../broker/auth/acl.js'

function aclOf(...lines: string[]): Acl {
  const acl = parseAcl(lines.join('\n'))
  if (Array.isArray(acl)) throw new Error(JSON.stringify(acl))
  return acl
}

/** Returns the granted access: `r`, `w`, `rw` or an empty string. */
function granted(acl: Acl, topic: string, { clientId = 'c', username = null }: Partial<AclSubject> = {}): string {
  const subject = { clientId, username }
  return (acl.allows('read', topic, subject) ? 'r' : '') + (acl.allows('write', topic, subject) ? 'w' : '')
}

t.test('access is denied unless a rule grants it', t => {
  t.equal(granted(aclOf(''), 'a'), '')
  t.equal(granted(aclOf('user bob', 'topic #'), 'a'), '', 'rules of another user do not apply')
  t.equal(granted(aclOf('user bob', 'topic #'), 'a', { username: 'bob' }), 'rw')
  t.equal(granted(aclOf('topic #'), 'a', { username: 'bob' }), '', 'rules for anonymous clients do not apply')
  t.end()
})

t.test('read, write, readwrite and deny', t => {
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

t.test('deny rules take precedence over grants, whatever their line', t => {
  const acl = aclOf('topic a/#', 'topic deny a/b', 'topic deny a/c/+')
  t.same(
    ['a', 'a/b', 'a/b/c', 'a/c', 'a/c/d', 'a/c/d/e'].map(topic => granted(acl, topic)),
    ['rw', '', 'rw', 'rw', '', 'rw']
  )
  t.end()
})

t.test('a user may have several sections, and spaces in the name', t => {
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

t.test('topics that start with $ need a rule that starts with $', t => {
  const acl = aclOf('topic read #', 'topic read $SYS/broker/#')
  t.same(
    ['a', '$SYS/broker/uptime', '$SYS/other', '$x'].map(topic => granted(acl, topic)),
    ['r', 'r', '', '']
  )
  t.equal(granted(aclOf('topic +/a'), '$x/a'), '')
  t.end()
})

t.test('patterns apply to all clients, with client id and username substituted', t => {
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
  const anonymous = { clientId: 'kitchen', username: null }
  t.same(
    ['c/kitchen', 'u//x', 'u/null/x', 'u/%u/x', 'both//kitchen'].map(topic => granted(acl, topic, anonymous)),
    ['r', '', '', '', '']
  )
  t.end()
})

t.test('no client id or username widens the access of a pattern', t => {
  const acl = aclOf('user eve', 'topic own', 'pattern c/%c', 'pattern u/%u')
  for (const name of ['+', '#', 'a/b', '/', 'a+', '#b', '../x', '+/+']) {
    const asName = { clientId: name, username: 'eve' }
    t.same(
      ['c/a', `c/${name}`, 'u/eve'].map(topic => granted(acl, topic, asName)),
      ['', '', ''],
      `client id ${name}`
    )
    t.equal(granted(acl, 'own', asName), 'rw', 'rules of the user still apply')
    t.same(
      ['u/a', `u/${name}`, 'c/c'].map(topic => granted(acl, topic, { username: name })),
      ['', '', ''],
      `username ${name}`
    )
  }
  // Special in a replacement string, or placeholders themselves.
  for (const name of ['$&', '$1', '%u', '%c', '$$', '\\']) {
    t.same(
      [`c/${name}`, 'c/eve', 'c/c/%c'].map(topic => granted(acl, topic, { clientId: name, username: 'eve' })),
      ['rw', '', ''],
      name
    )
  }
  t.end()
})

t.test('all errors are reported with their lines', t => {
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

t.test('CRLF line ends, and a file without a final line end', t => {
  t.equal(granted(aclOf('user bob\r', 'topic a\r'), 'a', { username: 'bob' }), 'rw')
  t.end()
})
