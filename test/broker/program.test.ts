// The command line: exit codes, mistakes in plain words, help, and what check prints.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { MAIN, runArtemis, startBroker } from './running-broker.js'

t.test('help and version are on standard output and fine', async t => {
  const folder = t.testdir({})
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  t.match(await runArtemis(['--version'], folder), { code: 0, stdout: `${version}\n`, stderr: '' })
  for (const args of [['--help'], ['broker', '--help'], ['check', '--help']]) {
    t.match(await runArtemis(args, folder), { code: 0, stdout: /^Usage: artemis/, stderr: '' }, args.join(' '))
  }
})

t.test('mistakes on the command line end with 1, a hint, and no stack', async t => {
  const folder = t.testdir({})
  const cases: [string[], RegExp][] = [
    [['--prot', '1884'], /Unknown option '--prot'\.\n.*Did you mean --port\?/],
    [['chekc'], /Unknown command "chekc"\.\n.*Did you mean check\?/],
    [['dance', '--port', '1'], /Unknown command "dance"\.\n.*--help/],
    [['check', '--port'], /argument missing/],
    [
      ['extract', 'a.pcap', '--mqtt-port', '1883,99999'],
      /'1883,99999' is invalid\. Write ports from 1 to 65535 with commas between, such as 1883,8883\.\n/
    ],
    [['check', 'twice'], /Too many arguments for 'check'/],
    [['--config', 'none.yaml'], /none\.yaml cannot be read \(ENOENT\)\.\n/],
    [
      ['--port', '70000', '--host', '1 2'],
      /There are 2 mistakes.*--host: "1 2".*--port: 70000 should be a whole number/s
    ]
  ]
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await runArtemis(args, folder)
    t.same({ code, stdout }, { code: 1, stdout: '' }, args.join(' '))
    t.match(stderr, message)
    t.notMatch(stderr, /^\s+at /m, 'no stack')
  }
})

t.test('a command of commands by itself prints its help, and nothing else', async t => {
  t.match(await runArtemis(['service'], t.testdir({})), {
    code: 1,
    stdout: '',
    stderr: /^Usage: artemis service [^]*uninstall[^]*display help for command\n$/
  })
})

t.test('a signal ends whatever runs with 0, also while it loads', async t => {
  const telling =
    "data:text/javascript,process.on('newListener', name => { if (name === 'SIGTERM') setImmediate(() => process.stdout.write('.')) })"
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    // A password that does not come keeps it waiting.
    const child = spawn(
      process.execPath,
      ['--import', telling, MAIN, 'passwd', path.join(t.testdir({}), 'users'), 'bob'],
      { stdio: ['pipe', 'pipe', 'ignore'] }
    )
    t.teardown(() => child.kill('SIGKILL'))
    await once(child.stdout, 'data')
    child.kill(signal)
    t.same(await once(child, 'exit'), [0, null], signal)
  }
})

t.test('a mistake in the settings file stops the start, with its line', async t => {
  const folder = t.testdir({ 'artemis.yaml': 'log:\n  level: info\nlistener:\n  - port: 1883\n' })
  const { code, stderr } = await runArtemis([], folder)
  t.equal(code, 1)
  t.match(stderr, /artemis\.yaml:3: listener: unknown key; did you mean listeners\?/)
})

t.test('a port in use is named, and mosquitto too', async t => {
  const folder = t.testdir({})
  const holder = net.createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  t.teardown(() => holder.close())
  const { port } = holder.address() as net.AddressInfo
  const { code, stderr } = await runArtemis(['--port', String(port), '--data', 'data'], folder)
  t.equal(code, 1)
  t.match(stderr, `port ${port} on 127.0.0.1 is in use`)
  t.match(stderr, /mosquitto/)
  t.match(stderr, `--port ${port + 1}`)
})

t.test('a data folder in use, and one that cannot be', async t => {
  const folder = t.testdir({ file: '' })
  const broker = await startBroker(t, folder)
  const second = await runArtemis(['--port', '0', '--data', 'data'], folder)
  t.equal(second.code, 1)
  t.match(second.stderr, /data folder .*data is in use by another broker/)
  t.match(await broker.stop(), { code: 0 }, 'the first is not disturbed')

  const blocked = await runArtemis(['--port', '0', '--data', 'file/data'], folder)
  t.equal(blocked.code, 1)
  t.match(blocked.stderr, /cannot be created \(ENOTDIR\)/)
})

t.test('a report that cannot be written stops the start', async t => {
  const folder = t.testdir({ 'artemis.yaml': 'report: { eve: nowhere/eve.json }\n' })
  const { code, stderr } = await runArtemis(['--port', '0', '--data', 'data'], folder)
  t.equal(code, 1)
  t.match(stderr, /report\.eve: ENOENT/)
})

t.test('a broker does not start with a file for a tap', async t => {
  const folder = t.testdir({ 'artemis.yaml': 'tap: { target: "file:x.pcap" }\n' })
  const { code, stderr } = await runArtemis(['--port', '0', '--data', 'data'], folder)
  t.equal(code, 1)
  t.match(stderr, /artemis\.yaml:1: tap\.target/)
})

t.test('check prints settings that give the same when read again', async t => {
  const folder = t.testdir({ 'artemis.yaml': 'response:\n  action: ban\n' })
  const first = await runArtemis(['check', '--port', '1999'], folder)
  t.match(first, { code: 0, stderr: '' })
  t.match(first.stdout, /action: ban # artemis\.yaml:2\n/)
  t.match(first.stdout, /port: 1999 # --port\n/)
  t.match(first.stdout, /level: info # default\n/)
  writeFileSync(path.join(folder, 'again.yaml'), first.stdout)
  const second = await runArtemis(['check', '--config', 'again.yaml'], folder)
  t.same(parse(second.stdout), parse(first.stdout))
})

t.test('a reader that leaves early is no fault', async t => {
  const child = spawn(process.execPath, [MAIN, 'check'], { cwd: t.testdir({}), stdio: ['ignore', 'pipe', 'pipe'] })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  child.stdout.destroy()
  const [code] = (await once(child, 'close')) as [number]
  t.same({ code, stderr }, { code: 0, stderr: '' })
})

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`${signal} ends the broker with 0, having said where it listens and how to stop it`, async t => {
    const broker = await startBroker(t, t.testdir({}))
    const { code, stderr } = await broker.stop(signal)
    t.equal(code, 0)
    t.match(stderr, `Listening for MQTT on mqtt://127.0.0.1:${broker.port}.`)
    t.match(stderr, /"folder":".*data"/)
    t.match(stderr, /Ctrl-C or kill \d+ stops it/)
    t.match(stderr, /Artemis has stopped/)
    for (const line of stderr.trim().split('\n')) t.doesNotThrow(() => void JSON.parse(line), 'every line is JSON')
  })
}

t.test('what is loaded into every thread besides does not hold up the end', async t => {
  const held =
    'data:text/javascript,import{isMainThread}from"node:worker_threads";if(!isMainThread)setInterval(()=>{},1000)'
  const child = spawn(process.execPath, ['--import', held, MAIN, '--port', '0', '--data', 'data'], {
    cwd: t.testdir({ 'artemis.yaml': 'tap: { target: none }\n' }),
    stdio: ['ignore', 'ignore', 'pipe']
  })
  t.teardown(() => child.kill('SIGKILL'))
  let stderr = ''
  let askedAt = 0
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    if (askedAt > 0 || !stderr.includes('Artemis is ready')) return
    askedAt = performance.now()
    child.kill('SIGTERM')
  })
  const [code] = (await once(child, 'close')) as [number]
  t.equal(code, 0)
  // A detection thread that does not end is ended by force after ten seconds.
  t.ok(performance.now() - askedAt < 8_000, 'the detection thread ended by itself')
})

t.test('on a terminal, or where asked for, the log is for people', async t => {
  const folder = t.testdir({ 'artemis.yaml': 'log:\n  format: text\n' })
  const child = spawn(process.execPath, [MAIN, '--port', '0', '--data', 'data'], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe']
  })
  t.teardown(() => child.kill('SIGKILL'))
  let stderr = ''
  let asked = false
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    if (!asked && stderr.includes('Artemis is ready')) asked = child.kill('SIGTERM')
  })
  const [code] = (await once(child, 'close')) as [number]
  t.equal(code, 0)
  t.match(stderr, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d INFO {2}Listening for MQTT on mqtt:\/\/127\.0\.0\.1:\d+\./m)
})
