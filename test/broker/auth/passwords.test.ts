// Password files: compatible with mosquitto in both directions; errors are reported.

import { execFileSync } from 'node:child_process'
import { pbkdf2Sync, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { parsePasswords, userFault, withoutUser, withUser } from '../../../broker/auth/password-file.js'
import {
  formatHash,
  hashPassword,
  isPassword,
  parseHash,
  unknownHash,
  type PasswordHash
} from '../../../broker/auth/password-hash.js'
import { findProgram, programMissing } from '../../support/programs.js'

function hashOf(text: string): PasswordHash {
  const hash = parseHash(text)
  if (typeof hash === 'string') throw new Error(hash)
  return hash
}

t.test('both hash types of mosquitto_passwd', { skip: programMissing('mosquitto_passwd') }, async t => {
  const folder = t.testdir({})
  const passwd = (...args: string[]): void => {
    execFileSync(findProgram('mosquitto_passwd'), args, { cwd: folder, stdio: 'ignore' })
  }
  passwd('-c', '-b', 'file', 'new', 'pässword')
  passwd('-H', 'sha512', '-b', 'file', 'old', 'word:with$signs')
  const { users, faults } = parsePasswords(readFileSync(path.join(folder, 'file'), 'utf8'))
  t.same(faults, [])
  t.same([...users.keys()], ['new', 'old'])
  t.same([users.get('new')?.kind, users.get('new')?.salt.length, users.get('old')?.kind], ['pbkdf2', 12, 'sha512'])
  for (const [user, password] of [
    ['new', 'pässword'],
    ['old', 'word:with$signs']
  ] as const) {
    const stored = users.get(user) as PasswordHash
    t.equal(await isPassword(Buffer.from(password), stored), true, user)
    for (const wrong of ['', `${password} `, password.slice(1), 'other'])
      t.equal(await isPassword(Buffer.from(wrong), stored), false, `${user} ${wrong}`)
  }
})

t.test('salts of any length, as later mosquitto versions write them', async t => {
  for (const length of [12, 64]) {
    const salt = randomBytes(length)
    const text = `$7$1000$${salt.toString('base64')}$${pbkdf2Sync('secret', salt, 1000, 64, 'sha512').toString('base64')}`
    t.equal(await isPassword(Buffer.from('secret'), hashOf(text)), true, String(length))
    t.equal(formatHash(hashOf(text)), text)
  }
})

t.test('new hashes have the format of mosquitto 2.0, and a new salt each', async t => {
  const [first, second] = [await hashPassword(Buffer.from('secret')), await hashPassword(Buffer.from('secret'))]
  t.same([first.kind, first.salt.length, first.hash.length], ['pbkdf2', 12, 64])
  t.notOk(first.salt.equals(second.salt))
  t.equal(await isPassword(Buffer.from('secret'), hashOf(formatHash(first))), true)
})

t.test('an unknown user costs as much as a known one', t => {
  const known = hashOf(`$7$4321$${'A'.repeat(16)}$${Buffer.alloc(64).toString('base64')}`)
  t.match(unknownHash(known), { kind: 'pbkdf2', iterations: 4321 })
  t.match(unknownHash(undefined), { kind: 'pbkdf2' })
  t.end()
})

t.test('invalid lines are reported and ignored; the others apply', t => {
  const good = `$6$${'A'.repeat(16)}$${Buffer.alloc(64).toString('base64')}`
  const { users, faults } = parsePasswords(
    [
      '# comment',
      '',
      `alice:${good}`,
      'no colon',
      'plain:secret',
      'short:$7$101$AAAA',
      `many:$7$9999999$${'A'.repeat(16)}$AAAA`,
      `alice:${good.replace('A', 'B')}`,
      'strange:$8$x$y',
      `nosalt:$6$$${'A'.repeat(86)}==`,
      `bob:${good}\r`
    ].join('\n')
  )
  t.same([...users.keys()], ['alice', 'bob'])
  t.same(
    faults.map(({ line }) => line),
    [4, 5, 6, 7, 8, 9, 10]
  )
  t.notMatch(faults.map(({ problem }) => problem).join(), /secret/, 'no password in a message')
  t.equal(users.get('alice')?.salt.toString('base64'), 'A'.repeat(16), 'the first line of a user applies')
  t.end()
})

t.test('users are added and removed; everything else stays', async t => {
  const hash = await hashPassword(Buffer.from('x'))
  const entry = formatHash(hash)
  const text = '# ours\nalice:old\n\nbob:old\nalice:double\n'
  t.equal(withUser(text, 'alice', hash), `# ours\nalice:${entry}\n\nbob:old\n`)
  t.equal(withUser(text, 'carol', hash), `${text}carol:${entry}\n`)
  t.equal(withUser('', 'carol', hash), `carol:${entry}\n`)
  t.equal(withUser('bob:old', 'carol', hash), `bob:old\ncarol:${entry}\n`, 'no final line end')
  t.equal(withoutUser(text, 'alice'), '# ours\n\nbob:old\n')
  t.equal(withoutUser(text, 'ali'), undefined)
  t.equal(withoutUser('bob:old\n', 'bob'), '')
})

t.test('invalid user names', t => {
  for (const name of ['', 'a:b', 'a\nb', ' a', 'a ', '#a', 'x'.repeat(70_000)])
    t.type(userFault(name), 'string', JSON.stringify(name.slice(0, 9)))
  for (const name of ['a', 'a b', 'ä/ö', 'x@y', '+']) t.equal(userFault(name), undefined, name)
  t.end()
})
