// artemis doctor: each problem that it reports.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, chmodSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import net, { type AddressInfo } from 'node:net'
import path from 'node:path'
import t, { type Test } from 'tap'
import { examine } from '../../../broker/commands/doctor.js'
import type { Finding, CheckContext } from '../../../broker/doctor/finding.js'
import { portHolder } from '../../../broker/doctor/port-holder.js'
import { certificate } from '../../support/encrypted.js'
import { freePort } from '../../support/free-port.js'
import { findProgram, programMissing } from '../../support/programs.js'
import { waitUntil } from '../../support/wait-until.js'
import { runArtemis } from '../running-broker.js'

interface Report {
  problems: number
  of: (level: Finding['level']) => string
}

/** Runs the checks with the given settings. */
async function examined(
  t: Test,
  yaml: string,
  overrides: Partial<CheckContext> = {},
  folder = t.testdir({})
): Promise<Report> {
  const file = path.join(folder, 'artemis.yaml')
  writeFileSync(file, `listeners: [{ port: 0 }]\ntap: { target: none }\n${yaml}`)
  const found: Finding[] = []
  const problems = await examine(
    { config: file, data: path.join(folder, 'data') },
    finding => {
      found.push(finding)
    },
    overrides
  )
  return {
    problems,
    of: level =>
      found
        .filter(finding => finding.level === level)
        .map(({ message, remedy }) => `${message} -> ${remedy ?? ''}`)
        .join('\n')
  }
}

t.test('without problems it exits with 0 and notes what is missing', async t => {
  const folder = t.testdir({ 'artemis.yaml': 'listeners: [{ port: 0 }]\ntap: { target: none }\n' })
  const { code, stdout, stderr } = await runArtemis(['doctor'], folder)
  t.same({ code, stderr }, { code: 0, stderr: '' })
  for (const line of [
    /^ok +The settings in /,
    /ok +Node \d+/,
    /ok +The clock is/,
    /ok +Port 0/,
    /ok +The data folder .* can be created/,
    /note +No tap/,
    /note +No model yet: .* 10 minutes and 2000 records/
  ])
    t.match(stdout, line)
})

t.test('an error in the settings is a problem with its line; the other checks still run; exit code 1', async t => {
  const { code, stdout, stderr } = await runArtemis(['doctor'], t.testdir({ 'artemis.yaml': 'tap: none\n' }))
  t.equal(code, 1)
  t.match(stdout, /PROBLEM The configuration has an error[\s\S]*artemis\.yaml:1: tap/)
  t.match(stdout, /ok +Node/)
  t.match(stderr, /1 problem found\./)
})

t.test(
  'a port in use by mosquitto is reported with the process and the remedy',
  { skip: programMissing('mosquitto') },
  async t => {
    const port = await freePort()
    const mosquitto = spawn(findProgram('mosquitto'), ['-p', String(port)], { stdio: ['ignore', 'ignore', 'pipe'] })
    const ended = once(mosquitto, 'close')
    t.teardown(async () => {
      mosquitto.kill()
      await ended
    })
    let log = ''
    mosquitto.stderr.on('data', (text: Buffer) => {
      log += text.toString()
    })
    await waitUntil('mosquitto is running', () => log.includes('running'))
    const found: Finding[] = []
    t.equal(
      await examine({ port: String(port), data: t.testdirName }, finding => {
        found.push(finding)
      }),
      1
    )
    const { message, remedy } = found.find(({ level }) => level === 'problem') ?? {}
    t.equal(message, `Port ${port} on 127.0.0.1 is in use by mosquitto (process ${mosquitto.pid}).`)
    t.match(remedy, /systemctl disable --now mosquitto/)
  }
)

t.test('finds the process that uses a port in /proc', async t => {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  t.match(await portHolder(port, '/proc'), { pid: process.pid, command: /node/ })
  t.equal(await portHolder(port, t.testdir({})), undefined, 'without /proc')

  const proc = t.testdir({
    net: {
      tcp: '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   0: 0100007F:075B 00000000:0000 0A 00000000:00000000 00:00000000 00000000   112        0 4242 1 0 100 0 0 10 0\n'
    },
    7: { comm: 'mosquitto\n', cmdline: 'mosquitto\0-c\0x\0', fd: {} },
    8: { comm: 'secret\n', fd: {} },
    self: {}
  })
  symlinkSync('socket:[4242]', path.join(proc, '7/fd/3'))
  t.same(await portHolder(1883, proc), { pid: 7, name: 'mosquitto', command: 'mosquitto -c x' })
  t.equal(await portHolder(1884, proc), undefined)
})

t.test('checks keys, certificates, users and rules', { skip: programMissing('openssl') }, async t => {
  const folder = t.testdir({ other: {}, users: 'x', rules: 'topic #\n', 'not-pem': 'hello' })
  certificate(folder)
  certificate(path.join(folder, 'other'))
  chmodSync(path.join(folder, 'users'), 0o600)
  const tls = (cert: string, key: string): string =>
    `report: { eve: null }\nlisteners: [{ port: 0, tls: { cert: ${cert}, key: ${key} } }]\nauth: { passwordFile: users, aclFile: rules }\n`
  const check = async (yaml: string, now?: number): Promise<Report> => {
    const file = path.join(folder, 'artemis.yaml')
    writeFileSync(file, `tap: { target: none }\n${yaml}`)
    const found: Finding[] = []
    const problems = await examine(
      { config: file, data: path.join(folder, 'data') },
      finding => {
        found.push(finding)
      },
      now === undefined ? {} : { now }
    )
    return {
      problems,
      of: level =>
        found
          .filter(finding => finding.level === level)
          .map(({ message }) => message)
          .join('\n')
    }
  }
  const valid = await check(tls('cert.pem', 'key.pem'))
  t.equal(valid.problems, 0)
  t.match(valid.of('note'), /cert\.pem expires on/, 'in two days')
  t.match(valid.of('ok'), /password file .*users is readable\./)
  t.match(valid.of('note'), /access rule file .*rules is readable by all users/)
  t.match((await check(tls('cert.pem', 'key.pem'), Date.now() + 5 * 86_400_000)).of('problem'), /cert\.pem expired on/)
  t.match((await check(tls('cert.pem', 'other/key.pem'))).of('problem'), /does not match the certificate/)
  t.match((await check(tls('not-pem', 'key.pem'))).of('problem'), /or its key is invalid/)
  t.match((await check(tls('cert.pem', 'gone.pem'))).of('problem'), /private key .*gone\.pem does not exist/)
  t.match((await check('auth: { passwordFile: nowhere }\n')).of('problem'), /password file .*nowhere does not exist/)
  t.match((await check('report: { eve: nowhere/eve.json }\n')).of('problem'), /Cannot write report\.eve/)
})

t.test('checks the data folder, its disk and the clock', async t => {
  const folder = t.testdir({ file: '', data: { old: '' } })
  const future = Date.now() / 1_000 + 86_400
  const clock = await examined(t, '', { now: Date.parse('2001-09-09') }, folder)
  t.match(clock.of('problem'), /The clock is wrong: 2001-09-09/)
  utimesSync(path.join(folder, 'data/old'), future, future)
  t.match((await examined(t, '', {}, folder)).of('problem'), /clock is wrong: .*, but there are files from/)
  const found: Finding[] = []
  await examine({ port: '0', data: path.join(folder, 'file/data') }, finding => {
    found.push(finding)
  })
  t.ok(found.some(({ level, message }) => level === 'problem' && message.includes('data folder')))
  t.match((await examined(t, '')).of('ok'), /\d+ MiB free/)
})

t.test(
  'reports a data folder that is not writable',
  { skip: process.getuid?.() === 0 && 'root can write everywhere' },
  async t => {
    const folder = t.testdir({ data: {} })
    chmodSync(path.join(folder, 'data'), 0o500)
    t.match((await examined(t, '', {}, folder)).of('problem'), /is not writable by this user/)
  }
)

t.test('checks the model and the detector', async t => {
  const folder = t.testdir({ data: { 'model.json': '{"format":"artemis-model","schema":1' } })
  t.match((await examined(t, '', {}, folder)).of('problem'), /Cannot load the model: /)
  t.match(
    (await examined(t, 'detector: { kind: random-forest }\n')).of('problem'),
    /random-forest cannot learn in place/
  )
})

t.test('reports a tap that does not work', async t => {
  const folder = t.testdir({ 'artemis.yaml': 'listeners: [{ port: 0 }]\ntap: { target: "local:nowhere0" }\n' })
  const { code, stdout } = await runArtemis(['doctor'], folder)
  t.equal(code, 1)
  t.match(stdout, /PROBLEM The tap local:nowhere0 does not work: /)
})

t.test('notes a container and its effect on addresses', async t => {
  const root = t.testdir({ proc: { 1: { cgroup: '0::/\n' }, net: {} } })
  const proc = path.join(root, 'proc')
  const context = { proc }
  const elsewhere = path.join(root, 'settings')
  mkdirSync(elsewhere)
  t.notMatch((await examined(t, '', context, elsewhere)).of('note'), /container/)
  appendFileSync(path.join(proc, '1/cgroup'), '12:cpu:/docker/0123456789\n')
  t.match(
    (await examined(t, '', context, elsewhere)).of('note'),
    /container.*network of its host|container[\s\S]*--network host/
  )
})
