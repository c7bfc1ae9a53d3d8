// Right logins are let in, however many come at once; wrong ones are limited as before.

import { writeFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { hashPassword } from '../../../broker/auth/password-hash.js'
import { withUser } from '../../../broker/auth/password-file.js'
import { CARRIERS, startCarried, type CarriedBroker } from './carriers.js'
import { SessionClient } from './session-client.js'

/** As many as fail from one address before it is refused, by default. */
const MAX_FAILED = 20

async function startGuarded(test: Test, users: readonly string[]): Promise<CarriedBroker> {
  const folder = test.testdir({})
  const hash = await hashPassword(Buffer.from('right'))
  writeFileSync(
    path.join(folder, 'users'),
    users.reduce((file, user) => withUser(file, user, hash), ''),
    { mode: 0o600 }
  )
  return await startCarried(test, folder, { more: ['auth: { passwordFile: users }'] })
}

/** Logs in many at once, in turn over each carrier and by each version; how many are let in. */
async function logIn(
  broker: CarriedBroker,
  count: number,
  password: string,
  usernameOf: (index: number) => string
): Promise<number> {
  const answers = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const stream = await broker.open(CARRIERS[index % CARRIERS.length] ?? 'TCP')
      const version = index % 2 === 0 ? 4 : 5
      const client = SessionClient.begin(stream, {
        clientId: `${password} ${index}`,
        version,
        clean: true,
        username: usernameOf(index),
        password
      })
      const { returnCode, reasonCode } = await client.next('connack')
      return reasonCode ?? returnCode
    })
  )
  return answers.filter(code => code === 0).length
}

t.test('60 of one user at once from one address, twice', async t => {
  const broker = await startGuarded(t, ['alice'])
  for (const when of ['nobody was right before', 'again'])
    t.equal(await logIn(broker, 60, 'right', () => 'alice'), 60, when)
  t.notMatch(broker.log(), /loginsPer/)
})

t.test('60 of different users at once from one address', async t => {
  const users = Array.from({ length: 60 }, (_, index) => `user${index}`)
  const broker = await startGuarded(t, users)
  t.equal(await logIn(broker, 60, 'right', index => users[index] ?? ''), 60)
})

t.test('wrong ones at once use up the attempts of an address', async t => {
  const broker = await startGuarded(t, ['alice', 'bob'])
  t.equal(await logIn(broker, 2 * MAX_FAILED, 'wrong', () => 'alice'), 0)
  t.equal(await logIn(broker, 1, 'right', () => 'bob'), 0, 'too late')
  t.match(broker.log(), /"limit":"loginsPerAddress","address":"127.0.0.1"/)
})

t.test('who was right before is let in among wrong ones', async t => {
  const broker = await startGuarded(t, ['alice', 'mallory'])
  t.equal(await logIn(broker, 1, 'right', () => 'alice'), 1)
  const [guessed, right] = await Promise.all([
    logIn(broker, 2 * MAX_FAILED, 'wrong', () => 'mallory'),
    logIn(broker, 60, 'right', () => 'alice')
  ])
  t.same([guessed, right], [0, 60], 'who was right before is counted apart')
})
