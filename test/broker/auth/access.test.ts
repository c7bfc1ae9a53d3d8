// Authentication and ACL in a running broker: topics that name clients, reload, and a flood of logins.

import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import path from 'node:path'
import t from 'tap'
import { withoutUser, withUser } from '../../../broker/auth/password-file.js'
import { hashPassword } from '../../../broker/auth/password-hash.js'
import { skipReason } from '../../support/programs.js'
import { waitUntil } from '../../support/wait-until.js'
import { Probe } from '../comparison/probe.js'
import { runArtemis, startBroker, type RunningBroker } from '../running-broker.js'

const externalAddress = Object.values(networkInterfaces())
  .flat()
  .find(address => address?.family === 'IPv4' && !address.internal)?.address

/** A password file with these users; the password is the name. */
async function passwordsOf(...users: string[]): Promise<string> {
  let text = ''
  for (const user of users) text = withUser(text, user, await hashPassword(Buffer.from(user)))
  return text
}

/** Sends SIGHUP and waits for its log line. */
async function reload({ child, log }: RunningBroker, expected: RegExp): Promise<void> {
  const before = log().length
  child.kill('SIGHUP')
  await waitUntil(`log line ${String(expected)}`, () => expected.test(log().slice(before)))
}

/** Whether a client receives the status of the detection, which names clients. */
async function seesStatus(options: Parameters<typeof Probe.connect>[0], writer: Probe): Promise<boolean> {
  const client = await Probe.connect(options)
  await client.subscribe(['mark', '$SYS/broker/artemis/status', '$SYS/#'], 0)
  await client.caughtUpWith(writer)
  const seen = client.received.some(line => line.startsWith('$SYS/broker/artemis/') || /^\$SYS\/artemis-/.test(line))
  await client.end()
  return seen
}

t.test(
  'only users and local clients read topics that name clients',
  { skip: externalAddress === undefined && skipReason('this machine has only loopback addresses') },
  async t => {
    const folder = t.testdir({
      'artemis.yaml':
        'tap: { target: none }\nlisteners:\n  - host: 0.0.0.0\nauth: { allowAnonymous: true, passwordFile: users }\n',
      users: await passwordsOf('ann')
    })
    const { port, log } = await startBroker(t, folder)
    await waitUntil('the detection logs a message', () => log().includes('learning what is normal'))
    const writer = await Probe.connect({ port })
    t.equal(await seesStatus({ port }, writer), true, 'anonymous, local')
    t.equal(
      await seesStatus({ port, host: externalAddress, username: 'ann', password: 'ann' }, writer),
      true,
      'user, remote'
    )
    t.equal(await seesStatus({ port, host: externalAddress }, writer), false, 'anonymous, remote')
    await writer.end()
  }
)

t.test('an ACL controls access to topics that name clients, and to control requests', async t => {
  const rules =
    'topic mark\nuser admin\ntopic mark\ntopic read $SYS/#\ntopic write $CONTROL/artemis/v1\nuser ann\ntopic #\n'
  const folder = t.testdir({
    'artemis.yaml': 'tap: { target: none }\nauth: { passwordFile: users, aclFile: rules, allowAnonymous: true }\n',
    users: await passwordsOf('ann', 'admin'),
    rules
  })
  const { port, log } = await startBroker(t, folder)
  await waitUntil('the detection logs a message', () => log().includes('learning what is normal'))
  const writer = await Probe.connect({ port })
  t.equal(await seesStatus({ port, username: 'admin', password: 'admin' }, writer), true)
  t.equal(await seesStatus({ port, username: 'ann', password: 'ann' }, writer), false)
  t.equal(await seesStatus({ port }, writer), false)
  await writer.end()
  for (const [user, isAllowed] of [
    ['admin', true],
    ['ann', false]
  ] as const) {
    const { code } = await runArtemis(['clients', '--url', `mqtt://${user}:${user}@127.0.0.1:${port}`], folder)
    t.equal(code === 0, isAllowed, user)
  }
})

t.test('messages that a client may not read take no room in its queue, connected or not', async t => {
  const folder = t.testdir({
    'artemis.yaml':
      'tap: { target: none }\nlimits: { queuedMessages: 10 }\nauth: { passwordFile: users, aclFile: rules, allowAnonymous: true }\n',
    users: await passwordsOf('ann'),
    rules: 'topic #\nuser ann\ntopic read hers/#\n'
  })
  const { port, log } = await startBroker(t, folder)
  const writer = await Probe.connect({ port })
  const ann = { port, clientId: 'ann', username: 'ann', password: 'ann', clean: false }
  for (const state of ['connected', 'disconnected']) {
    let client = await Probe.connect(ann)
    await client.subscribe(['#'], 1)
    if (state === 'disconnected') await client.end()
    for (let i = 0; i < 30; i++) await writer.publish(`others/${i}`, 'x', { qos: 1 })
    await writer.publish(`hers/${state}`, 'x', { qos: 1 })
    if (state === 'disconnected') client = await Probe.connect(ann)
    await waitUntil(`hers/${state}`, () => client.received.some(line => line.startsWith(`hers/${state}`)))
    t.notOk(client.received.some(line => line.startsWith('others')))
    await client.end()
  }
  t.notMatch(log(), /queuedMessages/)
  await writer.end()
})

t.test('a reload applies users and ACL at once; an invalid file changes nothing', async t => {
  const folder = t.testdir({
    'artemis.yaml': 'tap: { target: none }\nauth: { passwordFile: users, aclFile: rules }\n',
    users: await passwordsOf('ann', 'bob'),
    rules: 'user ann\ntopic a\nuser bob\ntopic b\n'
  })
  const file = (name: string): string => path.join(folder, name)
  const broker = await startBroker(t, folder)
  const { port } = broker
  const [ann, bob] = await Promise.all(
    ['ann', 'bob'].map(name => Probe.connect({ port, username: name, password: name, version: 5 }))
  )
  t.same([await ann.publish('a'), await ann.publish('b')], ['ok', 135])

  writeFileSync(file('rules'), 'user ann\ntopic a\ntopic b\nnonsense\n')
  writeFileSync(file('users'), withoutUser(readFileSync(file('users'), 'utf8'), 'bob') ?? '')
  await reload(broker, /settings unchanged: .*rules:4/)
  t.same([await ann.publish('b'), await bob.publish('b')], [135, 'ok'], 'nothing changed')
  t.equal(await Probe.connack({ port, username: 'bob', password: 'bob' }), 0)

  writeFileSync(file('rules'), 'user ann\ntopic a\ntopic b\nuser bob\ntopic b\n')
  await reload(broker, /"disconnected":1,/)
  await waitUntil('bob is disconnected', () => bob.closed)
  t.equal(await ann.publish('b'), 'ok')
  t.equal(await Probe.connack({ port, username: 'bob', password: 'bob' }), 5)

  writeFileSync(file('artemis.yaml'), 'auth: { passwordFil: users }\n')
  await reload(broker, /settings unchanged: .*passwordFil/)
  t.equal(await ann.publish('b'), 'ok')
  await ann.end()
})

t.test('a flood of logins does not block connected clients', async t => {
  const folder = t.testdir({
    'artemis.yaml':
      'tap: { target: none }\nauth: { passwordFile: users }\nlimits: { loginAttempts: { perAddress: null, perUser: null } }\n',
    users: await passwordsOf('ann')
  })
  const { port } = await startBroker(t, folder)
  const ann = await Probe.connect({ port, username: 'ann', password: 'ann' })
  await ann.subscribe('mark')
  let answered = 0
  const flood = Array.from({ length: 120 }, (_, i) =>
    Probe.connack({ port, username: `nobody-${i}`, password: 'x' }).then(code => {
      answered++
      return code
    })
  )
  let messages = 0
  const times: number[] = []
  while (answered < flood.length) {
    const from = performance.now()
    await ann.caughtUpWith(ann)
    times.push(performance.now() - from)
    if (answered < flood.length) messages++
  }
  const codes = await Promise.all(flood)
  t.ok(
    codes.every(code => code === 5 || code === 3),
    'all logins refused'
  )
  t.ok(codes.includes(5))
  // Hashing on the event loop would let at most one message through during the flood.
  t.ok(messages >= 5, `${messages} round trips during the flood`)
  times.sort((a, b) => a - b)
  t.comment(
    `${messages} round trips during ${codes.length} logins: median ${times[times.length >> 1]?.toFixed(1)} ms, longest ${times.at(-1)?.toFixed(1)} ms`
  )
  await ann.end()
})

t.test('the start fails with a missing password file or an invalid ACL file', async t => {
  for (const [yaml, message] of [
    ['auth: { passwordFile: nowhere }', /nowhere cannot be read \(ENOENT\)/],
    ['auth: { aclFile: rules }', /rules:2: /]
  ] as const) {
    const folder = t.testdir({ 'artemis.yaml': `${yaml}\n`, rules: 'topic a\nbroken\n' })
    const { code, stderr } = await runArtemis(['--port', '0', '--data', 'data'], folder)
    t.equal(code, 1)
    t.match(stderr, message)
  }
})

t.test('mosquitto.conf: log file, PID file, and warnings about unsupported directives', async t => {
  const folder = t.testdir({
    'mosquitto.conf':
      'pid_file {dir}/pid\nlog_dest file {dir}/log\nlistener 1883 127.0.0.1\nallow_anonymous true\nretain_available false\nconnection cloud\naddress 192.0.2.1\n'
  })
  const file = (name: string): string => path.join(folder, name)
  writeFileSync(file('mosquitto.conf'), readFileSync(file('mosquitto.conf'), 'utf8').replaceAll('{dir}', folder))
  writeFileSync(file('artemis.yaml'), 'tap: { target: none }\nmosquitto: mosquitto.conf\nlog: { format: json }\n')
  const { spawn } = await import('node:child_process')
  const { MAIN } = await import('../running-broker.js')
  const child = spawn(process.execPath, [MAIN, '--port', '0', '--data', 'data'], { cwd: folder, stdio: 'ignore' })
  const ended = new Promise(resolve => {
    child.once('close', resolve)
  })
  t.teardown(() => child.kill('SIGKILL'))
  const log = (): string => (existsSync(file('log')) ? readFileSync(file('log'), 'utf8') : '')
  while (!log().includes('Artemis is ready'))
    await new Promise(resolve => {
      setTimeout(resolve, 20)
    })
  t.equal(readFileSync(file('pid'), 'utf8'), `${child.pid}\n`)
  t.match(log(), /"level":"warn".*"place":"mosquitto\.conf:5".*retain_available: not followed\. ./)
  t.match(log(), /"place":"mosquitto\.conf:6".*connection: not followed\. .*cloud.*[Bb]ridge/)
  renameSync(file('log'), file('log.1'))
  child.kill('SIGHUP')
  await waitUntil('a new log file', () => log().includes('SIGHUP'))
  t.notMatch(readFileSync(file('log.1'), 'utf8'), /SIGHUP/)
  child.kill('SIGTERM')
  await ended
  t.notOk(existsSync(file('pid')))
})
