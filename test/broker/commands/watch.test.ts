// artemis watch beside a real mosquitto: learns, alerts, publishes, and ends when asked to.

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
/** Where the connection comes from by which it publishes. */
const OWN = '127.0.0.1'
const LEARN = ['--learn', '1s', '--learn-records', '1500']
const PATIENCE_MS = 60_000

interface Event {
  event_type: string
  src_ip?: string
  artemis: { state: string; scope: string; client_id: string | null }
}

/** A running watch, with what it has said so far. */
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

  /** Goes on with `meanwhile` until the condition holds. */
  async until(what: string, condition: () => boolean, meanwhile: (i: number) => Promise<unknown>): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS
    for (let i = 0; !condition(); i++) {
      if (performance.now() > deadline || this.child.exitCode !== null)
        throw new Error(`waited in vain for ${what}: ${this.err}${this.out}`)
      await meanwhile(i)
    }
  }

  async end(t: Test): Promise<void> {
    this.child.kill('SIGINT')
    const { code } = await this.ending
    t.equal(code, 0, 'Ctrl-C ends it cleanly')
  }
}

/** A home: sensors that publish, and one who reads. */
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
  'learns, names the attacker on standard output and on the broker, and keeps the model',
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
    const heard: { topic: string; text: string }[] = []
    listener.on('message', (topic, payload) => {
      heard.push({ topic, text: payload.toString() })
    })
    await listener.subscribeAsync('artemis/#')

    const watch = new Watch(t, [...common, ...LEARN])
    const guards = (): boolean => watch.err.includes('guarding with')
    let early: Event[] = []
    await watch.until('the learning to end', guards, async i => {
      await home.live(i)
      if (!guards()) early = watch.events()
    })
    t.ok(existsSync(model), 'the model is kept')
    t.same(early, [], 'no alert while it learns')

    const attacker = await connectClient({ port: mosquitto.port, from: ATTACKER }, { clientId: 'malaria' })
    t.teardown(async () => {
      await endClient(attacker)
    })
    const named = (): Event | undefined =>
      watch.events().find(({ src_ip, artemis }) => src_ip === ATTACKER && artemis.state === 'raised')
    await watch.until(
      'an alert',
      () => named() !== undefined,
      async i => {
        await attack(attacker, i)
        await home.live(i)
      }
    )
    t.match(named(), {
      event_type: 'alert',
      dest_port: mosquitto.port,
      proto: 'TCP',
      app_proto: 'mqtt',
      artemis: { scope: 'client', client_id: 'malaria', response: 'observe' }
    })
    const published = (): boolean =>
      heard.some(({ topic, text }) => topic === 'artemis/alerts' && (JSON.parse(text) as Event).src_ip === ATTACKER)
    await watch.until('the alert on the broker', published, home.live)
    await watch.end(t)
    t.match(JSON.parse(heard.filter(({ topic }) => topic === 'artemis/status').at(-1)?.text ?? '{}'), {
      state: 'stopped'
    })

    const again = new Watch(t, common)
    await again.until('the model to be loaded', () => again.err.includes('guarding with'), home.live)
    heard.length = 0
    await again.until(
      'its own messages to go by',
      () => heard.filter(({ topic }) => topic === 'artemis/status').length >= 2,
      home.live
    )
    await again.end(t)
    // Whoever learns for a second knows too little of the home to be held to silence about it.
    const accused = [...watch.events(), ...again.events()].map(({ src_ip }) => src_ip)
    t.notOk(
      accused.some(address => address === OWN || address === DASHBOARD),
      'its own messages raise no alert, neither about itself nor about who reads them'
    )
    const { records } = JSON.parse(heard.filter(({ topic }) => topic === 'artemis/status').at(-1)?.text ?? '{}') as {
      records: { own: number }
    }
    t.ok(records.own > 0, `${records.own} records were its own`)
  }
)

t.test('a tap that dies is opened again', { skip: missing || programMissing('sshd') }, async t => {
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
  await watch.until('the learning to end', () => watch.err.includes('guarding with'), home.live)
  t.ok(killTcpdump(mosquitto.port) > 0)
  await watch.until('the loss to be said', () => watch.err.includes('is down'), home.live)
  await watch.until('the tap to come back', () => watch.err.split('is up').length > 2, home.live)
  await watch.end(t)
})

t.test('what cannot be watched', async t => {
  for (const [args, said] of [
    [['file:x.pcap'], /replay/],
    [['none'], /nothing to watch/],
    [['local:nowhere'], /could not be opened/],
    [['ssh://nobody@127.0.0.1:1/lo'], /could not be opened/],
    [['local:lo', '--learn', 'soon'], /unit/],
    [['local:lo', '--model', '/no/where/model.json'], /folder is missing/],
    [['local:lo', '--topic-prefix', 'a/#'], /wildcard/],
    [['local:lo', '--publish', 'mqtt://127.0.0.1:1'], /Nobody can be reached/]
  ] as const) {
    const { code, err, out } = await runArtemis(['watch', ...args])
    t.equal(code, 1, args.join(' '))
    t.match(err, said)
    t.equal(out, '')
  }
})
