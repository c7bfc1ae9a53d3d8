// artemis passwd: mosquitto-compatible files, hidden passwords, atomic changes.

import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { findProgram, programMissing } from '../../support/programs.js'
import { Probe } from '../comparison/probe.js'
import { startCompared } from '../comparison/compared-brokers.js'
import { MAIN } from '../running-broker.js'

/** Runs the command with input on a pipe. */
function passwd(folder: string, args: readonly string[], input = ''): { status: number | null; stderr: string } {
  return spawnSync(process.execPath, [MAIN, 'passwd', ...args], { cwd: folder, input, encoding: 'utf8' })
}

t.test('creates a file, adds a user, changes a password, deletes a user', t => {
  const folder = t.testdir({})
  const file = path.join(folder, 'users')
  const users = (): string[] =>
    readFileSync(file, 'utf8')
      .split('\n')
      .filter(line => line !== '')
      .map(line => line.split(':')[0] ?? '')
  t.match(passwd(folder, ['users', 'ann'], 'secret\n'), { status: 0, stderr: /SIGHUP/ })
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.equal(passwd(folder, ['users', 'bob'], 'secret').status, 0)
  t.same(users(), ['ann', 'bob'])
  const before = readFileSync(file, 'utf8')
  t.notMatch(before, /secret/)
  t.equal(passwd(folder, ['users', 'ann'], 'other').status, 0)
  t.same(users(), ['ann', 'bob'])
  t.not(readFileSync(file, 'utf8'), before)
  chmodSync(file, 0o640)
  t.equal(passwd(folder, ['users', 'bob', '--delete']).status, 0)
  t.same(users(), ['ann'])
  t.equal(statSync(file).mode & 0o777, 0o640, 'permissions are kept')
  t.equal(passwd(folder, ['-c', 'users', 'carol'], 'x').status, 0)
  t.same(users(), ['carol'])
  t.same(readdirSync(folder), ['users'], 'no temporary file is left')
  t.end()
})

t.test('errors change nothing', t => {
  const folder = t.testdir({ users: 'ann:$6$x$y\n' })
  for (const [args, input, message] of [
    [['users', 'bob'], '', /empty/],
    [['users', 'bob'], '\nsecond line', /empty/],
    [['users', 'bob'], 'x'.repeat(65_536), /has 65536 bytes/],
    [['users', 'bob'], 'é'.repeat(32_768), /has 65536 bytes/],
    [['users', 'a:b'], 'x', /colon/],
    [['users', 'bob', '-D'], '', /has no user "bob"/],
    [['users', 'bob', '-D', '-c'], '', /cannot be combined/],
    [['none', 'bob', '-D'], '', /has no user/],
    [['no/where', 'bob'], 'x', /ENOENT/]
  ] as const) {
    const { status, stderr } = passwd(folder, args, input)
    t.equal(status, 1, args.join(' '))
    t.match(stderr, message)
  }
  t.equal(readFileSync(path.join(folder, 'users'), 'utf8'), 'ann:$6$x$y\n')
  t.notOk(existsSync(path.join(folder, 'none')))
  t.end()
})

t.test('mosquitto accepts a user written by passwd', { skip: programMissing('mosquitto') }, async t => {
  const broker = await startCompared(t, 'mosquitto', {
    conf: 'listener {port} 127.0.0.1\npassword_file {dir}/users\n',
    prepare: folder => {
      t.equal(passwd(folder, ['users', 'ann'], 'wörd with spaces\n').status, 0)
      chmodSync(path.join(folder, 'users'), 0o644)
    }
  })
  const { port } = broker
  t.equal(await Probe.connack({ port, username: 'ann', password: 'wörd with spaces' }), 0)
  t.equal(await Probe.connack({ port, username: 'ann', password: 'other' }), 5)
})

t.test('prompts twice on a terminal without echo', { skip: programMissing('script') }, async t => {
  const folder = t.testdir({})
  const run = async (answers: readonly string[]): Promise<{ screen: string; code: number | null }> => {
    const child = spawn(findProgram('script'), ['-qec', `${process.execPath} ${MAIN} passwd users ann`, '/dev/null'], {
      cwd: folder,
      stdio: ['pipe', 'pipe', 'inherit']
    })
    let screen = ''
    let asked = 0
    // The child may already have exited.
    child.stdin.on('error', () => {})
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      screen += text
      for (const prompts = screen.match(/(Password|Repeat password): /g)?.length ?? 0; asked < prompts; asked++)
        child.stdin.write(answers[asked] ?? '')
    })
    const code = await new Promise<number | null>(resolve => {
      child.once('close', resolve)
    })
    return { screen, code }
  }
  const same = await run(['geheim\u007fm\r', 'geheim\r'])
  t.equal(same.code, 0)
  t.notMatch(same.screen, /geheim/)
  writeFileSync(path.join(folder, 'before'), readFileSync(path.join(folder, 'users')))
  for (const [code, message, ...answers] of [
    [1, /differ/, 'one\r', 'two\r'],
    [1, /No password/, '\u0004'],
    [0, /Nothing was changed/, '\u0003'],
    [0, /Nothing was changed/, 'one\r', '\u0003']
  ] as const) {
    const other = await run(answers)
    t.equal(other.code, code)
    t.match(other.screen, message)
    t.equal(readFileSync(path.join(folder, 'users'), 'utf8'), readFileSync(path.join(folder, 'before'), 'utf8'))
  }
})
