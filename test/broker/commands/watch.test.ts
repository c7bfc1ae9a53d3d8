// artemis watch with a real mosquitto: learns, alerts, publishes, and ends on a signal.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { MqttClient } from 'mqtt'
import t, { type Test } from 'tap'
import { runArtemis, startArtemis } from '../../support/artemis.js'
import { connectClient, endClient } from '../../support/clients.js'
import { killTcpdump } from '../../support/kill-tcpdump.js'
import { startMosquitto, type Mosquitto } from '../../support/mosquitto.js'
import { programMissing } from '../../support/programs.js'
import { startSshd } from '../../support/sshd.js'

const ATTACKER = '127.0.8.66'
const DASHBOARD = '127.0.8.10'
/** Source address of its own publishing connection. */
const OWN = '127.0.0.1'
const LEARN = ['--learn', '1s', '--learn-records', '1500']
const LIMIT_MS = 60_000

interface Event {
  event_type: string
  src_ip?: string
  artemis: { state: string; scope: string; client_id: string | null }
}

/** A running watch command and its output. */
class Watch {
  out = ''
  err = ''
  readonly child
  readonly ending

  constructor(t: Test, args: readonly string[]) {
    const { child, ending } = startArtemis(['watch', ...args])
    this.child = child
    this.ending = ending
    child.stdout?.on('data', chunk => {
      this.out += String(chunk)
    })
    child.stderr?.on('data', chunk => {
      this.err += String(chunk)
    })
    t.teardown(async () => {
      child.kill('SIGKILL')
      await ending
    })
  }

  events(): Event[] {
    return this.out
      .split('\n')
      .slice(0, -1)
      .map(line => JSON.parse(line) as Event)
  }

  /** Runs `meanwhile` repeatedly until the condition is true. */
  async until(what: string, condition: () => boolean, meanwhile: (i: number) => Promise<unknown>): Promise<void> {
    const deadline = performance.now() + LIMIT_MS
    for (let i = 0; !condition(); i++) {
      if (performance.now() > deadline || this.child.exitCode !== null)
        throw new Error(`timeout waiting for ${what}: ${this.err}${this.out}`)
      await meanwhile(i)
    }
  }

  async end(t: Test): Promise<void> {
    this.child.kill('SIGINT')
    const { code } = await this.ending
    t.equal(code, 0, 'SIGINT exits with 0')
  }
}

/** A home: sensors that publish, and a subscriber. */
class Home {
  readonly #sensors: readonly MqttClient[]

  private constructor(sensors: readonly MqttClient[]) {
    this.#sensors = sensors
  }

  static async at(t: Test, { port }: Mosquitto): Promise<Home> {
    const sensors = await Promise.all(
      [1, 2, 3, 4].map(async i => await connectClient({ port, from: `127.0.8.${i}` }, { clientId: `sensor-${i}` }))
    )
    const reader = await connectClient({ port, from: '127.0.8.9' }, { clientId: 'reader' })
    await reader.subscribeAsync('home/#')
    t.teardown(async () => {
      await Promise.all([...sensors, reader].map(endClient))
    })
    return new Home(sensors)
  }

  readonly live = async (i: number): Promise<void> => {
    await Promise.all(
      this.#sensors.map(async (sensor, n) => {
        await sensor.publishAsync(
          `home/${n}/state`,
          `{"temperature":${20 + (i % 50) / 10},"humidity":${40 + (i % 23)}}`,
          { qos: i % 3 === 0 ? 1 : 0 }
        )
      })
    )
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

async function attack(client: MqttClient, i: number): Promise<void> {
  await Promise.all(
    Array.from({ length: 20 }, async (_, n) => {
      await client.publishAsync(`x/${'y'.repeat(100 + ((i + n) % 80))}`, Buffer.alloc(900 + n, 0x80 + n), { qos: 1 })
    })
  )
}

const missing = programMissing('mosquitto') || programMissing('tcpdump')

t.test(
  'learns, reports the attacker on standard output and on the broker, and saves the model',
  { skip: missing },
  async t => {
    const directory = t.testdir()
    const mosquitto = await startMosquitto(directory)
    t.teardown(async () => {
      await mosquitto.stop()
    })
    const home = await Home.at(t, mosquitto)
    const model = join(directory, 'model.json')
    const common = ['local:lo', '--mqtt-port', String(mosquitto.port), '--model', model, '--publish', mosquitto.url]

    const listener = await connectClient(
      { port: mosquitto.port, from: DASHBOARD },
      { clientId: 'dashboard', keepalive: 0 }
    )
    t.teardown(async () => {
      await endClient(listener)
    })
    const received: { topic: string; text: string }[] = []
    listener.on('message', (topic, payload) => {
      received.push({ topic, text: payload.toString() })
    })
    await listener.subscribeAsync('artemis/#')

    const watch = new Watch(t, [...common, ...LEARN])
    const guards = (): boolean => watch.err.includes('guarding with')
    let early: Event[] = []
    await watch.until('the end of learning', guards, async i => {
      await home.live(i)
      if (!guards()) early = watch.events()
    })
    t.ok(existsSync(model), 'the model is saved')
    t.same(early, [], 'no alert while learning')

    const attacker = await connectClient({ port: mosquitto.port, from: ATTACKER }, { clientId: 'malaria' })
    t.teardown(async () => {
      await endClient(attacker)
    })
    const attackAlert = (): Event | undefined =>
      watch.events().find(({ src_ip, artemis }) => src_ip === ATTACKER && artemis.state === 'raised')
    await watch.until(
      'an alert',
      () => attackAlert() !== undefined,
      async i => {
        await attack(attacker, i)
        await home.live(i)
      }
    )
    t.match(attackAlert(), {
      event_type: 'alert',
      dest_port: mosquitto.port,
      proto: 'TCP',
      app_proto: 'mqtt',
      artemis: { scope: 'client', client_id: 'malaria', response: 'observe' }
    })
    const published = (): boolean =>
      received.some(({ topic, text }) => topic === 'artemis/alerts' && (JSON.parse(text) as Event).src_ip === ATTACKER)
    await watch.until('the alert on the broker', published, home.live)
    await watch.end(t)
    t.match(JSON.parse(received.filter(({ topic }) => topic === 'artemis/status').at(-1)?.text ?? '{}'), {
      state: 'stopped'
    })

    const again = new Watch(t, common)
    await again.until('the model to be loaded', () => again.err.includes('guarding with'), home.live)
    received.length = 0
    await again.until(
      'its own messages',
      () => received.filter(({ topic }) => topic === 'artemis/status').length >= 2,
      home.live
    )
    await again.end(t)
    // After a second of learning, alerts about the home itself are possible.
    const alertAddresses = [...watch.events(), ...again.events()].map(({ src_ip }) => src_ip)
    t.notOk(
      alertAddresses.some(address => address === OWN || address === DASHBOARD),
      'its own messages raise no alert about itself or their subscribers'
    )
    const { records } = JSON.parse(received.filter(({ topic }) => topic === 'artemis/status').at(-1)?.text ?? '{}') as {
      records: { own: number }
    }
    t.ok(records.own > 0, `${records.own} own records`)
  }
)

t.test('reopens a tap that fails', { skip: missing || programMissing('sshd') }, async t => {
  const directory = t.testdir()
  const [mosquitto, sshd] = await Promise.all([startMosquitto(directory), startSshd(directory)])
  t.teardown(async () => {
    await Promise.all([mosquitto.stop(), sshd.stop()])
  })
  const home = await Home.at(t, mosquitto)
  const watch = new Watch(t, [
    `ssh://${sshd.user}@${sshd.host}:${sshd.port}/lo`,
    '--identity',
    sshd.identityFile,
    '--known-hosts',
    sshd.knownHostsFile,
    '--mqtt-port',
    String(mosquitto.port),
    '--learn',
    '1s',
    '--learn-records',
    '300'
  ])
  await watch.until('the end of learning', () => watch.err.includes('guarding with'), home.live)
  t.ok(killTcpdump(mosquitto.port) > 0)
  await watch.until('the log line about the loss', () => watch.err.includes('is down'), home.live)
  await watch.until('the tap to be reopened', () => watch.err.split('is up').length > 2, home.live)
  await watch.end(t)
})

t.test('fails on invalid taps and options', async t => {
  for (const [args, expected] of [
    [['file:x.pcap'], /replay/],
    [['none'], /Cannot watch without a tap/],
    [['local:nowhere'], /Cannot open the tap/],
    [['ssh://nobody@127.0.0.1:1/lo'], /Cannot open the tap/],
    [['local:lo', '--learn', 'soon'], /unit/],
    [['local:lo', '--model', '/no/where/model.json'], /folder is missing/],
    [['local:lo', '--topic-prefix', 'a/#'], /wildcard/],
    [['local:lo', '--publish', 'mqtt://127.0.0.1:1'], /Cannot connect to/]
  ] as const) {
    const { code, err, out } = await runArtemis(['watch', ...args])
    t.equal(code, 1, args.join(' '))
    t.match(err, expected)
    t.equal(out, '')
  }
})
