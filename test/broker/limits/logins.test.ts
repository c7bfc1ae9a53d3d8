// Failed logins on a running broker: limited and logged, without locking out known devices.

import { execFileSync } from 'node:child_process'
import path from 'node:path'
import t from 'tap'
import { findProgram, programMissing } from '../../support/programs.js'
import { nextEvent, connect, open } from '../mqtt-client.js'
import { logged, startListening } from '../listeners/listening.js'

t.test('logins beyond the limit are refused', { skip: programMissing('mosquitto') }, async t => {
  const folder = t.testdir({})
  execFileSync(findProgram('mosquitto_passwd'), ['-b', '-c', path.join(folder, 'users'), 'alice', 'right'])
  const broker = await startListening(
    t,
    folder,
    [[]],
    ['auth: { passwordFile: users }', 'limits: { loginAttempts: { perAddress: 3 } }']
  )
  const guess = async (username: string, password: string): Promise<unknown> => {
    const [error] = await nextEvent(open(t, broker.url, { username, password }), 'error')
    return (error as Error & { code: number }).code
  }
  for (let i = 0; i < 3; i++) t.equal(await guess('alice', `wrong ${i}`), 5)
  await logged(broker, '"limit":"login","address":"127.0.0.1"')
  t.equal(await guess('alice', 'right'), 5, 'beyond the limit')
  await logged(broker, '"limit":"loginsPerAddress","address":"127.0.0.1"')
})

t.test('a client that logged in before is counted separately', { skip: programMissing('mosquitto') }, async t => {
  const folder = t.testdir({})
  execFileSync(findProgram('mosquitto_passwd'), ['-b', '-c', path.join(folder, 'users'), 'alice', 'right'])
  const broker = await startListening(
    t,
    folder,
    [[]],
    ['auth: { passwordFile: users }', 'limits: { loginAttempts: { perAddress: 2 } }']
  )
  const alice = { username: 'alice', password: 'right' }
  await (await connect(t, broker.url, alice)).endAsync()
  for (let i = 0; i < 4; i++) await nextEvent(open(t, broker.url, { username: 'mallory', password: 'guess' }), 'error')
  await logged(broker, '"limit":"loginsPerAddress","address":"127.0.0.1"')
  t.ok((await connect(t, broker.url, alice)).connected)
})
