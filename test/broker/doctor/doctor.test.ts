// artemis doctor: every fault that it promises to name, made on purpose.

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

/** What it finds with these lines as settings. */
async function examined(
  t: Test,
  yaml: string,
  where: Partial<CheckContext> = {},
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
    where
  )
  return {
    problems,
    of: level =>
      found
        .filter(one => one.level === level)
        .map(({ message, remedy }) => `${message} -> ${remedy ?? ''}`)
        .join('\n')
  }
}

t.test('where nothing is wrong it says so, names what is still to come, and ends with 0', async t => {
  const folder = t.testdir({ 'artemis.yaml': 'listeners: [{ port: 0 }]\ntap: { target: none }\n' })
  const { code, stdout, stderr } = await runArtemis(['doctor'], folder)
  t.same({ code, stderr }, { code: 0, stderr: '' })
  for (const line of [
    /^ok +The settings in /,
    /ok +Node \d+/,
    /ok +The clock says/,
    /ok +Port 0/,
    /ok +The data folder .* can be made/,
    /note +There is no tap/,
    /note +There is no model yet: .* 10 minutes and 2000 records/
  ])
    t.match(stdout, line)
})

t.test(
  'a mistake in the settings is a problem, told with its line; the rest is checked all the same; exit code 1',
  async t => {
    const { code, stdout, stderr } = await runArtemis(['doctor'], t.testdir({ 'artemis.yaml': 'tap: none\n' }))
    t.equal(code, 1)
    t.match(stdout, /PROBLEM There is a mistake[\s\S]*artemis\.yaml:1: tap/)
    t.match(stdout, /ok +Node/)
    t.match(stderr, /There is a problem\./)
  }
)

t.test(
  'a port in use by mosquitto: named, with the process and what stops it',
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
    await waitUntil('mosquitto runs', () => log.includes('running'))
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

t.test('who holds a port, read from /proc', async t => {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  t.match(await portHolder(port, '/proc'), { pid: process.pid, command: /node/ })
  t.equal(await portHolder(port, t.testdir({})), undefined, 'where there is no /proc')

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

t.test('keys, certificates, users and rules', { skip: programMissing('openssl') }, async t => {
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
          .filter(one => one.level === level)
          .map(({ message }) => message)
          .join('\n')
    }
  }
  const sound = await check(tls('cert.pem', 'key.pem'))
  t.equal(sound.problems, 0)
  t.match(sound.of('note'), /cert\.pem expires on/, 'in two days')
  t.match(sound.of('ok'), /password file .*users can be read\./)
  t.match(sound.of('note'), /access rules .*rules can be read by everybody/)
  t.match((await check(tls('cert.pem', 'key.pem'), Date.now() + 5 * 86_400_000)).of('problem'), /cert\.pem expired on/)
  t.match((await check(tls('cert.pem', 'other/key.pem'))).of('problem'), /is not the one of the certificate/)
  t.match((await check(tls('not-pem', 'key.pem'))).of('problem'), /cannot be understood/)
  t.match((await check(tls('cert.pem', 'gone.pem'))).of('problem'), /private key .*gone\.pem is not there/)
  t.match((await check('auth: { passwordFile: nowhere }\n')).of('problem'), /password file .*nowhere is not there/)
  t.match((await check('report: { eve: nowhere/eve.json }\n')).of('problem'), /report\.eve cannot be written/)
})

t.test('the data folder, its disk and the clock', async t => {
  const folder = t.testdir({ file: '', data: { old: '' } })
  const future = Date.now() / 1_000 + 86_400
  const clock = await examined(t, '', { now: Date.parse('2001-09-09') }, folder)
  t.match(clock.of('problem'), /The clock says 2001-09-09 .* wrong/)
  utimesSync(path.join(folder, 'data/old'), future, future)
  t.match((await examined(t, '', {}, folder)).of('problem'), /clock says .*, but there are files from/)
  const found: Finding[] = []
  await examine({ port: '0', data: path.join(folder, 'file/data') }, finding => {
    found.push(finding)
  })
  t.ok(found.some(({ level, message }) => level === 'problem' && message.includes('data folder')))
  t.match((await examined(t, '')).of('ok'), /\d+ MiB are free/)
})

t.test(
  'a folder that this user may not write to',
  { skip: process.getuid?.() === 0 && 'root may write everywhere' },
  async t => {
    const folder = t.testdir({ data: {} })
    chmodSync(path.join(folder, 'data'), 0o500)
    t.match((await examined(t, '', {}, folder)).of('problem'), /may not be written to by this user/)
  }
)

t.test('models and detectors', async t => {
  const folder = t.testdir({ data: { 'model.json': '{"format":"artemis-model","schema":1' } })
  t.match((await examined(t, '', {}, folder)).of('problem'), /The model does not load: /)
  t.match(
    (await examined(t, 'detector: { kind: random-forest }\n')).of('problem'),
    /random-forest cannot learn in place/
  )
})

t.test('a tap that cannot be', async t => {
  const folder = t.testdir({ 'artemis.yaml': 'listeners: [{ port: 0 }]\ntap: { target: "local:nowhere0" }\n' })
  const { code, stdout } = await runArtemis(['doctor'], folder)
  t.equal(code, 1)
  t.match(stdout, /PROBLEM The tap local:nowhere0 does not work: /)
})

t.test('a container is told, and what it means for addresses', async t => {
  const root = t.testdir({ proc: { 1: { cgroup: '0::/\n' }, net: {} } })
  const proc = path.join(root, 'proc')
  const place = { proc }
  const elsewhere = path.join(root, 'settings')
  mkdirSync(elsewhere)
  t.notMatch((await examined(t, '', place, elsewhere)).of('note'), /container/)
  appendFileSync(path.join(proc, '1/cgroup'), '12:cpu:/docker/0123456789\n')
  t.match(
    (await examined(t, '', place, elsewhere)).of('note'),
    /container.*network of its host|container[\s\S]*--network host/
  )
})
