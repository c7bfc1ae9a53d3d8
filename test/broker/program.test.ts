// The command line: exit codes, error messages, help, and the output of check.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { MAIN, runArtemis, startBroker } from './running-broker.js'

t.test('prints help and version on standard output and exits with 0', async t => {
  const folder = t.testdir({})
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  t.match(await runArtemis(['--version'], folder), { code: 0, stdout: `${version}\n`, stderr: '' })
  for (const args of [['--help'], ['broker', '--help'], ['check', '--help']]) {
    t.match(await runArtemis(args, folder), { code: 0, stdout: /^Usage: artemis/, stderr: '' }, args.join(' '))
  }
})

t.test('command line errors exit with 1, a hint and no stack', async t => {
  const folder = t.testdir({})
  const cases: [string[], RegExp][] = [
    [['--prot', '1884'], /Unknown option '--prot'\.\n.*Did you mean --port\?/],
    [['chekc'], /Unknown command "chekc"\.\n.*Did you mean check\?/],
    [['dance', '--port', '1'], /Unknown command "dance"\.\n.*--help/],
    [['check', '--port'], /argument missing/],
    [
      ['extract', 'a.pcap', '--mqtt-port', '1883,99999'],
      /'1883,99999' is invalid\. Give comma-separated ports from 1 to 65535, such as 1883,8883\.\n/
    ],
    [['check', 'twice'], /Too many arguments for 'check'/],
    [['--config', 'none.yaml'], /Cannot read the settings file .*none\.yaml: ENOENT\.\n/],
    [
      ['--port', '70000', '--host', '1 2'],
      /The configuration has 2 errors.*--host: "1 2".*--port: 70000 should be a whole number/s
    ]
  ]
  for (const [args, message] of cases) {
    const { code, stdout, stderr } = await runArtemis(args, folder)
    t.same({ code, stdout }, { code: 1, stdout: '' }, args.join(' '))
    t.match(stderr, message)
    t.notMatch(stderr, /^\s+at /m, 'no stack')
  }
})

t.test('a command with subcommands prints its help if given alone', async t => {
  t.match(await runArtemis(['service'], t.testdir({})), {
    code: 1,
    stdout: '',
    stderr: /^Usage: artemis service [^]*uninstall[^]*display help for command\n$/
  })
})

t.test('a signal exits with 0, even while a command is loading', async t => {
  const preload =
    "data:text/javascript,process.on('newListener', name => { if (name === 'SIGTERM') setImmediate(() => process.stdout.write('.')) })"
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    // It waits for a password on standard input.
    const child = spawn(
      process.execPath,
      ['--import', preload, MAIN, 'passwd', path.join(t.testdir({}), 'users'), 'bob'],
      { stdio: ['pipe', 'pipe', 'ignore'] }
    )
    t.teardown(() => child.kill('SIGKILL'))
    await once(child.stdout, 'data')
    child.kill(signal)
    t.same(await once(child, 'exit'), [0, null], signal)
  }
})

t.test('the start fails on an invalid settings file and reports the line', async t => {
  const folder = t.testdir({ 'artemis.yaml': 'log:\n  level: info\nlistener:\n  - port: 1883\n' })
  const { code, stderr } = await runArtemis([], folder)
  t.equal(code, 1)
  t.match(stderr, /artemis\.yaml:3: listener: unknown key; did you mean listeners\?/)
})

t.test('reports a port in use, and mentions mosquitto', async t => {
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

t.test('refuses a data folder that is in use or cannot be created', async t => {
  const folder = t.testdir({ file: '' })
  const broker = await startBroker(t, folder)
  const second = await runArtemis(['--port', '0', '--data', 'data'], folder)
  t.equal(second.code, 1)
  t.match(second.stderr, /data folder .*data is in use by another broker/)
  t.match(await broker.stop(), { code: 0 }, 'the first broker is not affected')

  const blocked = await runArtemis(['--port', '0', '--data', 'file/data'], folder)
  t.equal(blocked.code, 1)
  t.match(blocked.stderr, /Cannot create the data folder .*: ENOTDIR/)
})

t.test('the start fails if a report file cannot be written', async t => {
  const folder = t.testdir({ 'artemis.yaml': 'report: { eve: nowhere/eve.json }\n' })
  const { code, stderr } = await runArtemis(['--port', '0', '--data', 'data'], folder)
  t.equal(code, 1)
  t.match(stderr, /report\.eve: ENOENT/)
})

t.test('the start fails with a file as tap', async t => {
  const folder = t.testdir({ 'artemis.yaml': 'tap: { target: "file:x.pcap" }\n' })
  const { code, stderr } = await runArtemis(['--port', '0', '--data', 'data'], folder)
  t.equal(code, 1)
  t.match(stderr, /artemis\.yaml:1: tap\.target/)
})

t.test('the output of check gives the same settings when read again', async t => {
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

t.test('a closed output pipe is not an error', async t => {
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
  t.test(`${signal} stops the broker with exit code 0, after it logged its address and how to stop it`, async t => {
    const broker = await startBroker(t, t.testdir({}))
    const { code, stderr } = await broker.stop(signal)
    t.equal(code, 0)
    t.match(stderr, `Listening for MQTT on mqtt://127.0.0.1:${broker.port}.`)
    t.match(stderr, /"folder":".*data"/)
    t.match(stderr, /To stop it, press Ctrl-C or run kill \d+/)
    t.match(stderr, /Artemis stopped/)
    for (const line of stderr.trim().split('\n')) t.doesNotThrow(() => void JSON.parse(line), 'every line is JSON')
  })
}

t.test('modules preloaded into every thread do not delay the exit', async t => {
  const preload =
    'data:text/javascript,import{isMainThread}from"node:worker_threads";if(!isMainThread)setInterval(()=>{},1000)'
  const child = spawn(process.execPath, ['--import', preload, MAIN, '--port', '0', '--data', 'data'], {
    cwd: t.testdir({ 'artemis.yaml': 'tap: { target: none }\n' }),
    stdio: ['ignore', 'ignore', 'pipe']
  })
  t.teardown(() => child.kill('SIGKILL'))
  let stderr = ''
  let stoppedAt = 0
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    if (stoppedAt > 0 || !stderr.includes('Artemis is ready')) return
    stoppedAt = performance.now()
    child.kill('SIGTERM')
  })
  const [code] = (await once(child, 'close')) as [number]
  t.equal(code, 0)
  // A detection thread that does not exit is terminated after ten seconds.
  t.ok(performance.now() - stoppedAt < 8_000, 'the detection thread exited by itself')
})

t.test('log.format: text writes a readable log', async t => {
  const folder = t.testdir({ 'artemis.yaml': 'log:\n  format: text\n' })
  const child = spawn(process.execPath, [MAIN, '--port', '0', '--data', 'data'], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe']
  })
  t.teardown(() => child.kill('SIGKILL'))
  let stderr = ''
  let isStopping = false
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    if (!isStopping && stderr.includes('Artemis is ready')) isStopping = child.kill('SIGTERM')
  })
  const [code] = (await once(child, 'close')) as [number]
  t.equal(code, 0)
  t.match(stderr, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d INFO {2}Listening for MQTT on mqtt:\/\/127\.0\.0\.1:\d+\./m)
})
