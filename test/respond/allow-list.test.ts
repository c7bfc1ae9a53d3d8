// The allow-list: valid entries, the clients they match, and configured entries that cannot be removed.

import t from 'tap'
import { ALLOW_CAP, AllowList, isAllowEntry } from '../../src/respond/allow-list.js'

t.test('valid entries', async t => {
  for (const entry of [
    '192.0.2.7',
    '192.0.2.0/24',
    '0.0.0.0/0',
    '2001:db8::1',
    '2001:db8::/32',
    '::ffff:192.0.2.7',
    'client:hub',
    'client:a b/c'
  ])
    t.ok(isAllowEntry(entry), entry)
  for (const entry of [
    '',
    'hub',
    'client:',
    '192.0.2.0/33',
    '2001:db8::/129',
    '192.0.2.0/',
    '192.0.2.0/-1',
    '192.0.2.0/24/8',
    '192.0.2',
    'fe80::1%eth0'
  ])
    t.notOk(isAllowEntry(entry), entry)
})

t.test('matching clients', async t => {
  const list = new AllowList(['192.0.2.7', '10.1.2.3/8', '2001:db8::/32', 'client:hub'])
  for (const address of ['192.0.2.7', '::ffff:192.0.2.7', '10.255.0.1', '2001:db8:1::5', '2001:db8::5%eth0'])
    t.ok(list.has(address, 'any'), address)
  for (const address of ['192.0.2.8', '11.0.0.1', '2001:db9::1', '', 'nonsense'])
    t.notOk(list.has(address, 'any'), address)
  t.ok(list.has('203.0.113.1', 'hub'))
  t.notOk(list.has('203.0.113.1', 'hub2'))
  t.notOk(list.has('203.0.113.1', null))
  t.ok(list.namesClients)
  t.notOk(list.hasAddress('203.0.113.1'))
})

t.test('entries can be added and removed at run time, configured ones cannot be removed', async t => {
  const list = new AllowList(['192.0.2.7'])
  t.ok(list.add('192.0.2.8'))
  t.ok(list.has('192.0.2.8', null))
  t.same(list.list(), [
    { entry: '192.0.2.7', from: 'settings' },
    { entry: '192.0.2.8', from: 'command' }
  ])
  t.ok(list.remove('192.0.2.8'))
  t.notOk(list.remove('192.0.2.8'))
  t.notOk(list.has('192.0.2.8', null))
  t.notOk(list.remove('192.0.2.7'))
  t.ok(list.has('192.0.2.7', null))
  for (let i = 0; i < ALLOW_CAP; i++) list.add(`client:${i}`)
  t.notOk(list.add('client:above the cap'))
  t.ok(list.add('client:0'), 'an existing entry can be added to a full list')
})
