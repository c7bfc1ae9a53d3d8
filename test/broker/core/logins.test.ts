// Correct logins succeed, however many are sent at once; wrong ones are limited.

import { writeFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { hashPassword } from '../../../broker/auth/password-hash.js'
import { withUser } from '../../../broker/auth/password-file.js'
import { TRANSPORTS, startOnAllTransports, type TransportBroker } from './transports.js'
import { SessionClient } from './session-client.js'

/** Default number of failed logins from one address before it is refused. */
const MAX_FAILED = 20

async function startWithUsers(test: Test, users: readonly string[]): Promise<TransportBroker> {
  const folder = test.testdir({})
  const hash = await hashPassword(Buffer.from('right'))
  writeFileSync(
    path.join(folder, 'users'),
    users.reduce((file, user) => withUser(file, user, hash), ''),
    { mode: 0o600 }
  )
  return await startOnAllTransports(test, folder, { more: ['auth: { passwordFile: users }'] })
}

/** Sends many logins at once, over all transports and versions in turn; returns how many succeed. */
async function logIn(
  broker: TransportBroker,
  count: number,
  password: string,
  usernameOf: (index: number) => string
): Promise<number> {
  const codes = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const stream = await broker.open(TRANSPORTS[index % TRANSPORTS.length] ?? 'TCP')
      const version = index % 2 === 0 ? 4 : 5
      const client = SessionClient.startConnect(stream, {
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
  return codes.filter(code => code === 0).length
}

t.test('60 logins of one user at once from one address, twice', async t => {
  const broker = await startWithUsers(t, ['alice'])
  for (const when of ['first', 'again']) t.equal(await logIn(broker, 60, 'right', () => 'alice'), 60, when)
  t.notMatch(broker.log(), /loginsPer/)
})

t.test('60 logins of different users at once from one address', async t => {
  const users = Array.from({ length: 60 }, (_, index) => `user${index}`)
  const broker = await startWithUsers(t, users)
  t.equal(await logIn(broker, 60, 'right', index => users[index] ?? ''), 60)
})

t.test('wrong logins at once use up the attempts of an address', async t => {
  const broker = await startWithUsers(t, ['alice', 'bob'])
  t.equal(await logIn(broker, 2 * MAX_FAILED, 'wrong', () => 'alice'), 0)
  t.equal(await logIn(broker, 1, 'right', () => 'bob'), 0, 'refused')
  t.match(broker.log(), /"limit":"loginsPerAddress","address":"127.0.0.1"/)
})

t.test('a user with an earlier correct login is accepted among wrong logins', async t => {
  const broker = await startWithUsers(t, ['alice', 'mallory'])
  t.equal(await logIn(broker, 1, 'right', () => 'alice'), 1)
  const [guessed, right] = await Promise.all([
    logIn(broker, 2 * MAX_FAILED, 'wrong', () => 'mallory'),
    logIn(broker, 60, 'right', () => 'alice')
  ])
  t.same([guessed, right], [0, 60], 'counted separately')
})
