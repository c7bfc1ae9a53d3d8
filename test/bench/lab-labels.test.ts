// Labels of a crafted capture: by address, and by message.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { labelCapture, type LabelFigures } from '../../bench/lab/labels.js'
import { MessageLog, messageDigest } from '../../bench/lab/message-log.js'
import type { Party, Role } from '../../bench/lab/plan.js'
import type { CapturedFrame } from '../../src/types.js'
import { ACK, PSH, SYN, frameOf, pcapFile } from '../decode/craft.js'
import { CONNACK, connect, packet, publish } from '../decode/craft-mqtt.js'

const BROKER = '198.18.0.2'
const [DEVICE, NEWCOMER, ATTACKER] = ['198.18.1.1', '198.18.1.2', '198.18.1.3']
const START = 1_700_000_000

function party(role: Role, address: string): Party {
  return { role, kind: role, index: 0, address, link: 'wire', seed: 1, arriveMs: 0 }
}

const PARTIES = [party('device', DEVICE), party('newcomer', NEWCOMER), party('attacker', ATTACKER)]

/** A connection whose frames can be made in any order. */
class Connection {
  readonly #next = { in: 1, out: 1 }
  readonly #address: string
  readonly #at: () => number
  readonly #port: number
  readonly #clientPort: number

  constructor(address: string, at: () => number, port = 1883, clientPort = 40_000) {
    this.#address = address
    this.#at = at
    this.#port = port
    this.#clientPort = clientPort
  }

  send(
    direction: 'in' | 'out',
    payload: Uint8Array,
    flags = ACK | PSH,
    sequence = this.#next[direction]
  ): CapturedFrame {
    const isIn = direction === 'in'
    if (sequence === this.#next[direction]) this.#next[direction] += payload.length
    const acknowledged = this.#next[isIn ? 'out' : 'in']
    return frameOf(
      {
        source: isIn ? this.#address : BROKER,
        destination: isIn ? BROKER : this.#address,
        sourcePort: isIn ? this.#clientPort : this.#port,
        destinationPort: isIn ? this.#port : this.#clientPort,
        sequence,
        acknowledgement: flags === SYN ? 0 : acknowledged,
        flags,
        payload
      },
      this.#at()
    )
  }

  open(first: Uint8Array = connect(), answer: Uint8Array = CONNACK): CapturedFrame[] {
    return [
      this.send('in', Buffer.alloc(0), SYN, 0),
      this.send('out', Buffer.alloc(0), SYN | ACK, 0),
      this.send('in', first),
      this.send('out', answer)
    ]
  }
}

interface Labelled {
  labels: string[]
  byAddress: string[]
  newcomers: string[]
  figures: LabelFigures
}

async function label(
  t: Test,
  frames: readonly CapturedFrame[],
  messageLog: readonly string[],
  attack: string | null = 'retained'
): Promise<Labelled> {
  const folder = t.testdir()
  const file = (name: string): string => join(folder, name)
  writeFileSync(file('capture.pcap'), pcapFile(frames))
  writeFileSync(file('ledger.csv'), messageLog.map(line => `${line}\n`).join(''))
  const figures = await labelCapture({
    capture: file('capture.pcap'),
    attack,
    parties: PARTIES,
    messageLogs: [file('ledger.csv')],
    target: { host: BROKER, port: 1883, tlsPort: null, webSocketPort: 9001 },
    labels: file('labels.csv'),
    byAddress: file('by-address.csv'),
    newcomers: file('newcomers.csv')
  })
  const read = (name: string): string[] => readFileSync(file(name), 'utf8').trim().split('\n')
  const column = (name: string): string[] =>
    read(name)
      .slice(1)
      .map((line, i) => {
        t.equal(line.split(',')[0], String(i + 1))
        return line.split(',')[1]
      })
  t.equal(read('labels.csv')[0], 'frame,label')
  return {
    labels: column('labels.csv'),
    byAddress: column('by-address.csv'),
    newcomers: column('newcomers.csv'),
    figures
  }
}

function published(seconds: number, role: Role, topic: string, payload: string): string {
  return `${START + seconds},${role},198.18.1.9,id,${topic},${payload.length},${messageDigest(Buffer.from(topic), Buffer.from(payload))}`
}

let seconds = 0
const at = (): number => START + (seconds += 0.125)
t.beforeEach(() => {
  seconds = 0
})

t.test(
  'all frames to and from an attacker are attack frames; all frames of a newcomer are newcomer frames',
  async t => {
    const [attacker, newcomer, device] = [ATTACKER, NEWCOMER, DEVICE].map(address => new Connection(address, at))
    const frames = [
      ...attacker.open(connect(4, 'a')),
      ...newcomer.open(connect(4, 'n')),
      ...device.open(connect(4, 'd'))
    ]
    const { labels, newcomers, figures } = await label(t, frames, [])
    t.same(labels, [...Array<string>(4).fill('retained'), ...Array<string>(8).fill('0')])
    t.same(newcomers, [
      ...Array<string>(4).fill('0'),
      ...Array<string>(4).fill('newcomer'),
      ...Array<string>(4).fill('0')
    ])
    t.match(figures, { frames: 12, attack: 4, forwarded: 0, newcomer: 4, lostStreams: 0 })
  }
)

t.test('every frame with a byte of a forwarded attack message is an attack frame, also if retransmitted', async t => {
  const device = new Connection(DEVICE, at)
  const message = publish('home/lamp', 'x'.repeat(2_500))
  const frames = [
    ...device.open(),
    device.send('out', publish('home/lamp', 'ON')),
    device.send('out', message.subarray(0, 1_400)),
    device.send('in', Buffer.alloc(0), ACK),
    device.send('out', message.subarray(1_400)),
    device.send('out', message.subarray(0, 1_400), ACK, 5 + publish('home/lamp', 'ON').length),
    device.send('out', publish('home/lamp', 'ON'))
  ]
  const { labels, byAddress, figures } = await label(t, frames, [
    published(0, 'attacker', 'home/lamp', 'x'.repeat(2_500)),
    published(0, 'device', 'home/lamp', 'ON')
  ])
  t.same(
    labels,
    ['0', '0', '0', '0', '0', 'retained', 'retained', 'retained', 'retained', '0'],
    'including the bare ACK'
  )
  t.same(byAddress, Array<string>(10).fill('0'))
  t.match(figures, { forwarded: 3, answers: 1, attack: 4 })
})

t.test(
  "frames that only acknowledge an attacker's message are attack frames; other acknowledgements are not",
  async t => {
    const device = new Connection(DEVICE, at)
    const of = (type: number, id: number): Buffer => packet(type, Buffer.from([0, id]))
    // The packet identifier of a crafted message is 9.
    const frames = [
      ...device.open(),
      device.send('out', publish('a', 'bad', { qos: 2 })),
      device.send('in', of(0x50, 9)),
      device.send('out', of(0x62, 9)),
      device.send('in', of(0x70, 9)),
      device.send('out', Buffer.alloc(0), ACK),
      device.send('out', publish('a', 'good', { qos: 1 })),
      device.send('in', of(0x40, 9)),
      device.send('out', publish('a', 'bad', { qos: 1 })),
      device.send('in', Buffer.concat([of(0x40, 9), publish('b', 'own')]))
    ]
    const { labels, figures } = await label(t, frames, [
      published(0, 'attacker', 'a', 'bad'),
      published(0, 'device', 'a', 'good')
    ])
    t.same(labels.slice(4), ['retained', 'retained', 'retained', 'retained', 'retained', '0', '0', 'retained', '0'])
    t.match(figures, { forwarded: 2, answers: 4 })
  }
)

t.test('an identical message is attributed to its last publisher', async t => {
  const device = new Connection(DEVICE, at)
  const frames = [...device.open(), ...Array.from({ length: 3 }, () => device.send('out', publish('home/lamp', 'OFF')))]
  // The frames are captured at 0.625, 0.75 and 0.875 s.
  const { labels } = await label(t, frames, [
    published(0.1, 'device', 'home/lamp', 'OFF'),
    published(0.7, 'attacker', 'home/lamp', 'OFF'),
    published(0.8, 'device', 'home/lamp', 'OFF')
  ])
  t.same(labels.slice(4), ['0', 'retained', '0'])
})

t.test('messages are found in WebSocket frames, complete, fragmented and masked', async t => {
  const device = new Connection(DEVICE, at, 9001)
  const mask = Buffer.from([1, 2, 3, 4])
  const webSocket = (data: Buffer): Buffer =>
    Buffer.concat([
      data.length < 126
        ? Buffer.from([0x82, data.length])
        : Buffer.from([0x82, 126, data.length >> 8, data.length & 255]),
      data
    ])
  const masked = (data: Buffer): Buffer =>
    Buffer.concat([Buffer.from([0x82, 0x80 | data.length]), mask, data.map((byte, i) => byte ^ mask[i % 4])])
  const bad = webSocket(publish('a', 'bad'.repeat(100), { qos: 1 }))
  const frames = [
    ...device.open(
      Buffer.from('GET /mqtt HTTP/1.1\r\nUpgrade: websocket\r\n\r\n'),
      Buffer.from('HTTP/1.1 101 Switching Protocols\r\n\r\n')
    ),
    device.send('in', masked(connect())),
    device.send('out', webSocket(CONNACK)),
    device.send('out', bad.subarray(0, 3)),
    device.send('out', bad.subarray(3)),
    device.send('in', masked(packet(0x40, Buffer.from([0, 9])))),
    device.send('out', webSocket(publish('a', 'good')))
  ]
  const { labels } = await label(t, frames, [published(0, 'attacker', 'a', 'bad'.repeat(100))])
  t.same(labels.slice(4), ['0', '0', 'retained', 'retained', 'retained', '0'])
})

t.test('frames of a client whose id is taken over are attack frames until it has reconnected', async t => {
  const [device, attacker, again, other] = [DEVICE, ATTACKER, DEVICE, NEWCOMER].map(
    (address, i) => new Connection(address, at, 1883, 40_000 + i)
  )
  const frames = [
    ...device.open(connect(4, 'lamp')),
    ...other.open(connect(5, 'other')),
    ...attacker.open(connect(4, 'lamp')),
    device.send('out', Buffer.alloc(0), ACK | 1),
    other.send('in', publish('a', 'b')),
    ...again.open(connect(4, 'lamp')),
    ...Array.from({ length: 8 }, () => again.send('in', publish('a', 'b')))
  ]
  const { labels, figures } = await label(t, frames, [], 'takeover')
  const [attack, none] = [
    (count: number) => Array<string>(count).fill('takeover'),
    (count: number) => Array<string>(count).fill('0')
  ]
  // The frames are 125 ms apart: eight of them in a second.
  t.same(labels, [...none(8), ...attack(4), ...attack(1), ...none(1), ...attack(8), ...none(4)])
  t.match(figures, { attack: 13, taken: 9 })
})

t.test('a capture without an attack has no attack frames', async t => {
  const { labels } = await label(t, new Connection(DEVICE, at).open(), [], null)
  t.same(labels, ['0', '0', '0', '0'])
})

t.test('the message log accepts any topic', async t => {
  const path = join(t.testdir(), 'ledger.csv')
  const messageLog = new MessageLog(path)
  messageLog.logMessage({ role: 'attacker', address: ATTACKER, clientId: 'a,"b"\n' }, 'x,\0"y', 'payload')
  await messageLog.close()
  const lines = readFileSync(path, 'utf8').split('\n')
  t.equal(lines.length, 2, 'one line per message')
  t.match(lines[0], /^\d+\.\d{3},attacker,198\.18\.1\.3,"a,""b""\?","x,\?""y",7,[0-9a-f]{16}$/)
})
