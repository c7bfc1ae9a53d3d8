// The control commands with a running broker.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { findProgram, programMissing } from '../support/programs.js'
import { connect, nextEvent } from './mqtt-client.js'
import { runArtemis, startBroker } from './running-broker.js'

const run = promisify(execFile)

t.test('clients, ban, unban, allow, learn and alerts', async t => {
  const folder = t.testdir({})
  const broker = await startBroker(t, folder)
  const port = String(broker.port)
  const artemis = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await runArtemis([...args, '--port', port], folder)
    t.same({ code, stderr }, { code: 0, stderr: '' }, args.join(' '))
    return stdout
  }
  const lamp = await connect(t, broker.url, { clientId: 'lamp', protocolVersion: 5 })
  t.match(
    await artemis('clients'),
    /^client +address +user +for +protocol +score +state\nlamp +127\.0\.0\.1:\d+ +- +\d+ s +MQTT 5, tcp +-/
  )
  const { clients } = JSON.parse(await artemis('clients', '--format', 'json')) as { clients: object[] }
  t.match(clients, [{ clientId: 'lamp', address: '127.0.0.1', protocol: '5' }, { clientId: /^artemis/ }])

  const closed = nextEvent(lamp, 'close')
  t.match(await artemis('ban', '--client', 'lamp', '--for', '1h'), /any +lamp +operator +1 h 0 m\n1 connection closed/)
  await closed
  t.match(await artemis('ban'), /lamp +operator +(1 h 0 m|59 m)/)
  const byUrl = await runArtemis(['ban', '192.0.2.9', '--url', broker.url], folder)
  t.match(byUrl.stdout, /192\.0\.2\.9 +any/)
  t.match(await artemis('allow', '10.0.0.0/8'), /10\.0\.0\.0\/8 +command/)
  t.match(await artemis('learn'), /Learning: \d %.*\nThere is no model yet/)
  t.match(await artemis('alerts'), /No alerts/)
  t.match(await broker.stop(), { code: 0 })

  const again = await startBroker(t, folder)
  const inForce = await runArtemis(['ban', '--url', again.url], folder)
  t.match(inForce.stdout, /any +lamp[\s\S]*192\.0\.2\.9/, 'bans survive a restart')
  t.match((await runArtemis(['allow', '--url', again.url], folder)).stdout, /10\.0\.0\.0\/8/)
  t.match((await runArtemis(['unban', '--client', 'lamp', '--url', again.url], folder)).stdout, /1 ban removed/)
  await connect(t, again.url, { clientId: 'lamp' })
})

t.test('reports invalid arguments and unreachable brokers', async t => {
  const folder = t.testdir({})
  const broker = await startBroker(t, folder)
  for (const [args, message] of [
    [['ban', '127.0.0.1', '--url', broker.url], /lock yourself out/],
    [['ban', 'kitchen', '--url', broker.url], /IP address/],
    [['ban', '192.0.2.1', '--for', '40d', '--url', broker.url], /not a valid ban duration/],
    [['ban', '192.0.2.1', '--for', 'long', '--url', broker.url], /duration/],
    [['unban', '--url', broker.url], /No target given/],
    [['allow', '10.0.0.1', '--client', 'x', '--url', broker.url], /not both/],
    [['clients', '--url', 'mqtt://127.0.0.1:1'], /Cannot connect to/],
    [['clients', '--url', 'nowhere'], /Invalid broker address/]
  ] as const) {
    const { code, stdout, stderr } = await runArtemis(args, folder)
    t.same({ code, stdout }, { code: 1, stdout: '' }, args.join(' '))
    t.match(stderr, message)
  }
})

t.test(
  'mosquitto_rr can send commands, and other clients do not receive the response',
  { skip: programMissing('mosquitto_pub') },
  async t => {
    const broker = await startBroker(t, t.testdir({}))
    const spy = await connect(t, broker.url)
    const topics: string[] = []
    spy.on('message', topic => topics.push(topic))
    await spy.subscribeAsync(['$CONTROL/#', '#'])
    const { stdout } = await run(findProgram('mosquitto_rr'), [
      '-p',
      String(broker.port),
      '-t',
      '$CONTROL/artemis/v1',
      '-e',
      '$CONTROL/artemis/v1/response',
      '-m',
      '{"commands":[{"command":"bans","correlationData":"1"}]}',
      '-W',
      '10'
    ])
    t.same(JSON.parse(stdout), { responses: [{ command: 'bans', correlationData: '1', data: { bans: [] } }] })
    const last = nextEvent(spy, 'message')
    await spy.publishAsync('end', '')
    await last
    t.same(topics, ['end'])
  }
)
