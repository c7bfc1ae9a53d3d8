// The golden captures that no program would write on demand: disorder, fragments, odd headers, broken MQTT.
import {
  ACK,
  FIN,
  PSH,
  RST,
  SYN,
  Talk,
  captured,
  ethernetBytes,
  frameOf,
  ipv4Bytes,
  ipv6Bytes,
  pcapFile,
  tcpBytes
} from '../decode/craft.js'
import { pcapngFile } from '../decode/craft-pcapng.js'
import { CONNACK, PINGREQ, PINGRESP, PUBACK, connect, packet, publish, subscribe, text } from '../decode/craft-mqtt.js'
import type { CapturedFrame } from '../../src/types.js'

const START = 1_700_000_000
const none = new Uint8Array(0)

/** An opened connection of a client. */
function opened(port = 40_000, level = 4): Talk {
  const talk = new Talk(port, START + port / 1000).open()
  talk.send('in', connect(level))
  talk.send('out', level === 5 ? packet(0x20, Buffer.from([0, 0, 0])) : CONNACK)
  return talk
}

/** The frames at a millisecond each, in this order. */
function inOrder(frames: readonly CapturedFrame[]): CapturedFrame[] {
  return frames.map((frame, i) => ({ ...frame, seconds: START, nanoseconds: i * 1_000_000 }))
}

/** Retransmissions, overlaps, keep-alives, early segments, and packets that span segments. */
function disorder(): Buffer {
  const talk = opened()
  const opening = [...talk.frames]
  const stream = Buffer.concat([1, 2, 3, 4, 5, 6].map(i => publish(`t/${i}`, 'payload '.repeat(i * 3), { qos: i % 3 })))
  const at = (from: number, to: number): CapturedFrame =>
    frameOf({
      ...talk.segment('in', stream.subarray(from, to)),
      sequence: 1000 + 1 + connect().length + from,
      flags: ACK | PSH
    })
  const pieces = [
    at(0, 40),
    at(40, 90),
    at(40, 90),
    at(130, 200),
    at(90, 130),
    at(120, 260),
    at(259, 260),
    at(300, 340),
    at(340, 400),
    at(300, 340),
    at(260, 300),
    at(400, stream.length),
    at(380, stream.length)
  ]
  return pcapFile(inOrder([...opening, ...pieces]))
}

/** What a tap misses, and a capture that begins in the middle. */
function gaps(): Buffer {
  const early = new Talk(41_000, START)
  early.send('in', publish('t', Buffer.alloc(60, 'y')).subarray(20))
  early.send('in', publish('t', 'whole'))
  early.send('out', Buffer.concat([PINGRESP, publish('u', 'down')]))
  const talk = opened(41_001)
  talk.send('in', publish('t', Buffer.alloc(90)).subarray(0, 40))
  talk.send('in', Buffer.alloc(70, 1))
  talk.frames.pop()
  talk.send('in', publish('t', Buffer.alloc(60, 'y')).subarray(20))
  talk.send('out', none, ACK)
  talk.send('in', Buffer.concat([PUBACK, publish('again', 'z')]))
  talk.send('in', publish('more', 'z'))
  return pcapFile([...early.frames, ...talk.frames])
}

/** A tuple used three times, sequence numbers that wrap, data on a SYN, RST and FIN with data. */
function connections(): Buffer {
  const frames: CapturedFrame[] = []
  const add = (segment: Parameters<typeof frameOf>[0]): void => {
    frames.push(frameOf(segment))
  }
  const hello = connect()
  for (const initial of [100, 0xffff_fff0, 700_000]) {
    add({ sequence: initial, flags: SYN })
    add({ sequence: initial, flags: SYN })
    add({ sequence: initial + 1, payload: hello, flags: ACK | PSH })
    add({ sequence: initial + 1 + hello.length, payload: publish('wrap', 'around'), flags: ACK })
    add({ sequence: initial + 1 + hello.length + 14, payload: PINGREQ, flags: ACK | FIN })
  }
  add({ sourcePort: 40_001, sequence: 10, payload: hello, flags: SYN })
  add({ sourcePort: 40_001, sequence: 11 + hello.length, payload: PINGREQ })
  add({ sourcePort: 40_001, sequence: 11 + hello.length + 2, flags: RST | ACK, payload: Buffer.from('why') })
  add({ sourcePort: 40_002, sequence: 10, flags: RST })
  add({ sourcePort: 40_002, sequence: 55, flags: SYN | ACK })
  add({ sourcePort: 40_002, sequence: 99, flags: SYN })
  add({ sourcePort: 40_002, sequence: 100, payload: hello })
  return pcapFile(inOrder(frames))
}

/** Every flag and odd lengths: padding, options, segmentation left to the card, lengths that lie. */
function headers(): Buffer {
  const frames: CapturedFrame[] = []
  for (let bit = 0; bit < 12; bit++) frames.push(frameOf({ sourcePort: 50_000 + bit, flags: 1 << bit }))
  frames.push(frameOf({ sourcePort: 50_100, flags: 0xfff, window: 65_535, payload: PINGREQ }))
  frames.push(frameOf({ sourcePort: 50_101, options: Buffer.alloc(12, 1), payload: PINGREQ }))
  frames.push(frameOf({ sourcePort: 50_102, ipLength: 0, payload: publish('offloaded', Buffer.alloc(80, 'o')) }))
  frames.push(frameOf({ sourcePort: 50_103, ipLength: 9000, payload: publish('lies', Buffer.alloc(80, 'o')) }))
  frames.push(
    captured(
      ethernetBytes(
        ipv4Bytes(tcpBytes({ sourcePort: 50_104, payload: PINGREQ }), {
          options: Buffer.alloc(8, 1),
          fragmentWord: 0x8000
        })
      )
    )
  )
  frames.push(
    captured(ethernetBytes(ipv4Bytes(tcpBytes({ sourcePort: 50_105, payload: PINGREQ })), { tags: [0x8100] }))
  )
  frames.push(
    captured(ethernetBytes(ipv4Bytes(tcpBytes({ sourcePort: 50_106, payload: PINGREQ })), { tags: [0x88a8, 0x8100] }))
  )
  const hopByHop = Buffer.from([60, 0, 1, 4, 0, 0, 0, 0])
  const destination = Buffer.from([6, 0, 1, 4, 0, 0, 0, 0])
  const body = tcpBytes({ sourcePort: 50_107, payload: publish('six', 'v6') })
  frames.push(captured(ethernetBytes(ipv6Bytes(body), { ethertype: 0x86dd })))
  frames.push(
    captured(
      ethernetBytes(ipv6Bytes(body, { next: 0, extensions: Buffer.concat([hopByHop, destination]) }), {
        ethertype: 0x86dd
      })
    )
  )
  return pcapFile(inOrder(frames))
}

/** Fragments in order, out of order, twice, and of IPv6. */
function fragments(): Buffer {
  const frames: CapturedFrame[] = []
  const body = tcpBytes({ sourcePort: 51_000, sequence: 1, payload: publish('fragmented', Buffer.alloc(120, 'f')) })
  const v4 = (id: number, from: number, to: number, bytes = body): void => {
    const word = (to < bytes.length ? 0x2000 : 0) | (from / 8)
    frames.push(captured(ethernetBytes(ipv4Bytes(bytes.subarray(from, to), { id, fragmentWord: word }))))
  }
  v4(1, 0, 64)
  v4(1, 64, 128)
  v4(1, 128, body.length)
  const second = tcpBytes({ sourcePort: 51_001, sequence: 1, payload: publish('backwards', Buffer.alloc(120, 'b')) })
  v4(2, 128, second.length, second)
  v4(2, 64, 128, second)
  v4(2, 0, 64, second)
  v4(3, 0, 64, second)
  const six = tcpBytes({ sourcePort: 51_002, sequence: 1, payload: publish('six', Buffer.alloc(60, '6')) })
  for (const [from, to] of [
    [0, 40],
    [40, six.length]
  ] as const) {
    const header = Buffer.alloc(8)
    header[0] = 6
    header.writeUInt16BE(from | (to < six.length ? 1 : 0), 2)
    header.writeUInt32BE(77, 4)
    frames.push(
      captured(
        ethernetBytes(ipv6Bytes(six.subarray(from, to), { next: 44, extensions: header }), { ethertype: 0x86dd })
      )
    )
  }
  return pcapFile(inOrder(frames))
}

/** Packets that contradict themselves, and every type. */
function broken(): Buffer {
  const bodies = [
    packet(0x30, Buffer.from([0, 9, 97])),
    packet(0x30, Buffer.from([0, 1, 97])),
    packet(0x32, Buffer.concat([text('t'), Buffer.from([1])])),
    packet(0x34, Buffer.concat([text('q2'), Buffer.from([0, 1])])),
    packet(0x36, Buffer.concat([text('q3'), Buffer.from([0, 1, 33])])),
    packet(0x82, Buffer.from([0, 1, 0, 200, 97])),
    subscribe(['first', 'second/#']),
    packet(0xa2, Buffer.concat([Buffer.from([0, 8]), text('off')])),
    PUBACK,
    packet(0x50, Buffer.from([0, 1])),
    packet(0x62, Buffer.from([0, 1])),
    packet(0x70, Buffer.from([0, 1])),
    packet(0x90, Buffer.from([0, 1, 1])),
    packet(0xb0, Buffer.from([0, 1])),
    PINGREQ,
    PINGRESP,
    packet(0xe0),
    packet(0x3f, Buffer.concat([text('flags'), Buffer.from([0, 1, 33])]))
  ]
  const frames = bodies.flatMap((body, i) => {
    const talk = opened(52_000 + i)
    talk.send('in', body)
    talk.send('in', PINGREQ)
    return talk.frames
  })
  return pcapFile(inOrder(frames))
}

/** MQTT 5: properties, topic alias, reason codes. */
function five(): Buffer {
  const talk = opened(53_000, 5)
  const user = Buffer.concat([Buffer.from([38]), text('key'), text('value')])
  talk.send('in', publish('a', 'one', { properties: user }))
  talk.send('in', publish('a', 'two', { qos: 1, properties: Buffer.from([35, 0, 1]) }))
  talk.send('in', publish('', 'alias', { qos: 2, properties: Buffer.from([35, 0, 1]) }))
  talk.send('in', publish('', 'none', { properties: none }))
  talk.send('in', subscribe(['s/+', 't'], { properties: user }))
  talk.send('out', packet(0x90, Buffer.from([0, 7, 0, 1, 1])))
  talk.send('in', packet(0x40, Buffer.from([0, 9, 0x10])))
  talk.send('out', publish('down', 'x', { properties: Buffer.concat([user, user]) }))
  talk.send('in', packet(0xa2, Buffer.concat([Buffer.from([0, 8, 0]), text('off')])))
  talk.send('in', packet(0x30, Buffer.concat([text('far'), Buffer.from([90, 1])])))
  talk.send('in', packet(0xe0, Buffer.from([4, 0])))
  return pcapFile(talk.frames, { nano: true, bigEndian: true })
}

/** Several packets in a segment, and one packet in several. */
function chains(): Buffer {
  const talk = opened(54_000)
  talk.send('in', Buffer.concat([PINGREQ, publish('first', '1'), publish('second', '2')]))
  const long = publish('long', Buffer.alloc(900, 'L'), { qos: 1 })
  for (let at = 0; at < long.length; at += 256) talk.send('in', long.subarray(at, at + 256))
  talk.send('in', Buffer.concat([long.subarray(0, 300), none]))
  talk.send('in', Buffer.concat([long.subarray(300), PINGREQ, long.subarray(0, 10)]))
  talk.send('in', long.subarray(10))
  talk.send('in', none, ACK | FIN)
  return pcapFile(talk.frames)
}

/** Only the first bytes of each frame captured. */
function snapped(): Buffer {
  const talk = opened(55_000)
  talk.send('in', publish('topic', Buffer.alloc(200, 'x')))
  talk.send('in', publish('topic', 'short'))
  talk.send('in', publish('topic/long/enough', Buffer.alloc(20, 'x')))
  return pcapFile(talk.frames.map(frame => ({ ...frame, bytes: frame.bytes.subarray(0, 66) })))
}

/** Several sections, interfaces, link types, resolutions and kinds of block. */
function blocks(bigEndian: boolean): Buffer {
  const talk = opened(56_000)
  talk.send('in', publish('ng', 'pcapng'))
  const [first, second, third, ...others] = talk.frames
  const raw = (frame: CapturedFrame): CapturedFrame => ({
    ...frame,
    bytes: frame.bytes.subarray(14),
    wireLength: frame.wireLength - 14
  })
  return Buffer.concat([
    pcapngFile(
      [{ linkType: 1 }, { linkType: 101, resolution: 9 }, { linkType: 1, resolution: 0x94, offset: 3600n }],
      [
        { interface: 0, frame: first },
        { interface: 1, frame: raw(second) },
        { interface: 2, frame: third }
      ],
      { bigEndian }
    ),
    pcapngFile(
      [{ linkType: 1, resolution: 3 }],
      others.map(frame => ({ interface: 0, frame })),
      { bigEndian: !bigEndian, old: bigEndian }
    )
  ])
}

/** By file name. */
export const CRAFTED: Readonly<Record<string, () => Buffer>> = {
  'disorder.pcap': disorder,
  'gaps.pcap': gaps,
  'connections.pcap': connections,
  'headers.pcap': headers,
  'fragments.pcap': fragments,
  'broken.pcap': broken,
  'five.pcap': five,
  'chains.pcap.gz': chains,
  'snapped.pcap': snapped,
  'little-endian.pcapng': () => blocks(false),
  'big-endian.pcapng.gz': () => blocks(true)
}
