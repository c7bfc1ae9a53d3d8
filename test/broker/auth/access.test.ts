// Users and rules in the running broker: who reads what names clients, what a reload does, and what a flood of logins
// costs.

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

const outer = Object.values(networkInterfaces())
  .flat()
  .find(address => address?.family === 'IPv4' && !address.internal)?.address

/** A password file with these users; the password is the name. */
async function passwordsOf(...users: string[]): Promise<string> {
  let text = ''
  for (const user of users) text = withUser(text, user, await hashPassword(Buffer.from(user)))
  return text
}

/** Sends SIGHUP and waits for the answer. */
async function reload({ child, log }: RunningBroker, answer: RegExp): Promise<void> {
  const before = log().length
  child.kill('SIGHUP')
  await waitUntil(`the log says ${String(answer)}`, () => answer.test(log().slice(before)))
}

/** Whether a client is given the status of the detection, which names clients. */
async function seesStatus(options: Parameters<typeof Probe.connect>[0], writer: Probe): Promise<boolean> {
  const client = await Probe.connect(options)
  await client.subscribe(['mark', '$SYS/broker/artemis/status', '$SYS/#'], 0)
  await client.caughtUpWith(writer)
  const seen = client.received.some(line => line.startsWith('$SYS/broker/artemis/') || /^\$SYS\/artemis-/.test(line))
  await client.end()
  return seen
}

t.test(
  'what names clients is for users and for this machine',
  { skip: outer === undefined && skipReason('this machine has no address but loopback') },
  async t => {
    const folder = t.testdir({
      'artemis.yaml':
        'tap: { target: none }\nlisteners:\n  - host: 0.0.0.0\nauth: { allowAnonymous: true, passwordFile: users }\n',
      users: await passwordsOf('ann')
    })
    const { port, log } = await startBroker(t, folder)
    await waitUntil('the detection has said something', () => log().includes('learning what is normal'))
    const writer = await Probe.connect({ port })
    t.equal(await seesStatus({ port }, writer), true, 'from here')
    t.equal(
      await seesStatus({ port, host: outer, username: 'ann', password: 'ann' }, writer),
      true,
      'a user from elsewhere'
    )
    t.equal(await seesStatus({ port, host: outer }, writer), false, 'anybody from elsewhere')
    await writer.end()
  }
)

t.test('where there are rules, they say who reads what names clients, and who controls', async t => {
  const rules =
    'topic mark\nuser admin\ntopic mark\ntopic read $SYS/#\ntopic write $CONTROL/artemis/v1\nuser ann\ntopic #\n'
  const folder = t.testdir({
    'artemis.yaml': 'tap: { target: none }\nauth: { passwordFile: users, aclFile: rules, allowAnonymous: true }\n',
    users: await passwordsOf('ann', 'admin'),
    rules
  })
  const { port, log } = await startBroker(t, folder)
  await waitUntil('the detection has said something', () => log().includes('learning what is normal'))
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

t.test('what a client may not read takes no room in its queue, whether it is here or away', async t => {
  const folder = t.testdir({
    'artemis.yaml':
      'tap: { target: none }\nlimits: { queuedMessages: 10 }\nauth: { passwordFile: users, aclFile: rules, allowAnonymous: true }\n',
    users: await passwordsOf('ann'),
    rules: 'topic #\nuser ann\ntopic read hers/#\n'
  })
  const { port, log } = await startBroker(t, folder)
  const writer = await Probe.connect({ port })
  const ann = { port, clientId: 'ann', username: 'ann', password: 'ann', clean: false }
  for (const when of ['here', 'away']) {
    let client = await Probe.connect(ann)
    await client.subscribe(['#'], 1)
    if (when === 'away') await client.end()
    for (let i = 0; i < 30; i++) await writer.publish(`others/${i}`, 'x', { qos: 1 })
    await writer.publish(`hers/${when}`, 'x', { qos: 1 })
    if (when === 'away') client = await Probe.connect(ann)
    await waitUntil(`hers (${when})`, () => client.received.some(line => line.startsWith(`hers/${when}`)))
    t.notOk(client.received.some(line => line.startsWith('others')))
    await client.end()
  }
  t.notMatch(log(), /queuedMessages/)
  await writer.end()
})

t.test('a reload: users and rules change at once, and a bad file changes nothing', async t => {
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
  await reload(broker, /stay as they were: .*rules:4/)
  t.same([await ann.publish('b'), await bob.publish('b')], [135, 'ok'], 'nothing has changed')
  t.equal(await Probe.connack({ port, username: 'bob', password: 'bob' }), 0)

  writeFileSync(file('rules'), 'user ann\ntopic a\ntopic b\nuser bob\ntopic b\n')
  await reload(broker, /"disconnected":1,/)
  await waitUntil('bob is gone', () => bob.closed)
  t.equal(await ann.publish('b'), 'ok')
  t.equal(await Probe.connack({ port, username: 'bob', password: 'bob' }), 5)

  writeFileSync(file('artemis.yaml'), 'auth: { passwordFil: users }\n')
  await reload(broker, /stay as they were: .*passwordFil/)
  t.equal(await ann.publish('b'), 'ok')
  await ann.end()
})

t.test('a flood of logins leaves the broker to those who are in', async t => {
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
    'nobody came in'
  )
  t.ok(codes.includes(5))
  // Hashed one after the other on the event loop, the flood would let one message through, or none.
  t.ok(messages >= 5, `${messages} messages came and went meanwhile`)
  times.sort((a, b) => a - b)
  t.comment(
    `${messages} messages during ${codes.length} logins: median ${times[times.length >> 1]?.toFixed(1)} ms, longest ${times.at(-1)?.toFixed(1)} ms`
  )
  await ann.end()
})

t.test('a missing password file, or broken rules, stop the start', async t => {
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

t.test('from mosquitto.conf: the log, the process id, and what is different', async t => {
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
  t.match(
    log(),
    /"level":"warn".*"place":"mosquitto\.conf:5".*retain_available: not followed\. Retained messages are kept\./
  )
  t.match(log(), /"place":"mosquitto\.conf:6".*connection: not followed\. .*cloud.*no bridge/)
  renameSync(file('log'), file('log.1'))
  child.kill('SIGHUP')
  await waitUntil('a new log is begun', () => log().includes('SIGHUP'))
  t.notMatch(readFileSync(file('log.1'), 'utf8'), /SIGHUP/)
  child.kill('SIGTERM')
  await ended
  t.notOk(existsSync(file('pid')))
})
