// The exact join inside WebSocket: every frame has the packets that its unmasked bytes contain in the capture.

import { createReadStream, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'
import t from 'tap'
import { createWebSocketStream, WebSocketServer } from 'ws'
import { CaptureDecoder } from '../../src/decode/capture.js'
import { MqttWalker } from '../../src/decode/mqtt.js'
import { TcpDecoder } from '../../src/decode/tcp-decoder.js'
import { TcpStreams } from '../../src/decode/tcp-streams.js'
import type { Direction, TcpStream } from '../../src/types.js'
import { endClient } from '../support/clients.js'
import { keepCaptures } from '../support/keeping-tcpdump.js'
import { programMissing } from '../support/programs.js'
import { LONG_HOLD_CAPS, startWatchedBroker, type MakeServer, type Status } from '../support/watched-broker.js'
import { WebSocketPayloads } from '../support/websocket-payloads.js'

const PACE_MS = 25
const missing = programMissing('tcpdump')

interface Row {
  frame: number | null
  mqtt_header: number | null
  mqtt_len: number | null
}

t.test('WebSocket', { skip: missing }, async t => {
  const { rows, status, capture, port } = await watched(t.testdir(), false)
  t.equal(status.tap.streams?.gapBytes, 0, 'the kernel dropped no frame')
  const decoded = await decode(capture, port)
  const differences = rows
    .map(({ frame, mqtt_header, mqtt_len }) => [
      frame,
      `${mqtt_header} ${mqtt_len}`,
      decoded.get(frame ?? 0)?.[0] ?? 'null null'
    ])
    .filter(([, live, reference]) => live !== reference)
  t.same(differences.slice(0, 10), [], `${differences.length} of ${rows.length} frames differ`)
  const joined = rows.filter(({ mqtt_header }) => mqtt_header !== null)
  t.equal(joined.length, decoded.size, 'exactly the frames that complete MQTT packets have them')
  t.ok(joined.length > 600, `${joined.length} frames with MQTT, ${[...decoded.values()].flat().length} packets`)
  t.match(status.join, {
    framesUnjoined: 0,
    framesFallback: 0,
    packetsAlone: 0,
    packetsLate: 0,
    connectionsUnplaced: 0
  })
})

t.test('compressed frames are not joined', { skip: missing }, async t => {
  const { rows, status, capture, port } = await watched(t.testdir(), true)
  t.equal(status.join.connectionsUnplaced, 5)
  t.ok(status.join.packetsAlone > 500)
  const decoded = await decode(capture, port)
  const wrong = rows.filter(
    ({ frame, mqtt_header, mqtt_len }) =>
      frame !== null && mqtt_header !== null && decoded.get(frame)?.[0] !== `${mqtt_header} ${mqtt_len}`
  )
  t.same(wrong, [], 'frames joined before the first of them are correct')
})

function webSocketServer(perMessageDeflate: boolean): MakeServer {
  return handle => {
    const server = createServer()
    const options = perMessageDeflate ? { perMessageDeflate: { threshold: 0 } } : {}
    new WebSocketServer({ server, ...options }).on('connection', (socket, request) => {
      const stream: Duplex = createWebSocketStream(socket)
      stream.on('error', () => {})
      // Only one ping at the start, because the join must not depend on later ones.
      socket.ping('still there?')
      handle(stream, request)
    })
    return server
  }
}

/** Runs a broker with WebSocket clients and returns the results. Repeats the run if the kernel dropped frames. */
async function watched(directory: string, deflate: boolean) {
  for (let attempt = 1; ; attempt++) {
    const run = await watchedOnce(directory, deflate, `live${attempt}.ndjson`)
    if (run.status.tap.streams?.gapBytes === 0 || attempt === 3) return run
  }
}

async function watchedOnce(directory: string, deflate: boolean, recordsName: string) {
  const capture = keepCaptures(directory)
  const recordsFile = join(directory, recordsName)
  const broker = await startWatchedBroker(
    { tap: { target: 'local:lo', snapLength: 0 }, caps: LONG_HOLD_CAPS, report: { records: recordsFile } },
    webSocketServer(deflate)
  )
  const { port } = broker
  let status: Status
  try {
    await broker.until(({ tap }) => tap.state === 'up', 'the tap')
    await traffic(port, deflate)
    status = await broker.until(
      ({ join, tap, records }) =>
        join.held === 0 && tap.frames > 500 && records.seen === tap.frames - join.framesFallback + join.packetsAlone,
      'every frame to become a record'
    )
  } finally {
    await broker.close()
  }
  const rows = readFileSync(recordsFile, 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as Row)
  return { rows, status, capture, port }
}

async function traffic(port: number, perMessageDeflate: boolean): Promise<void> {
  const client = async (options: IClientOptions): Promise<MqttClient> => {
    const client = mqtt.connect(`ws://127.0.0.1:${port}`, {
      reconnectPeriod: 0,
      wsOptions: { perMessageDeflate },
      ...options
    })
    client.on('error', () => {})
    await new Promise<void>(resolve => {
      client.once('connect', () => {
        resolve()
      })
    })
    return client
  }
  const subscriber = await client({ clientId: 'subscriber' })
  await subscriber.subscribeAsync('#')
  const clients = await Promise.all(
    [4, 5, 4, 5].map(async (version, i) => await client({ clientId: `client ${i}`, protocolVersion: version as 4 | 5 }))
  )
  for (let round = 0; round < 20; round++) {
    // Whole frames fill the kernel's buffer fast, so the pause lets the tap read it.
    await pause(PACE_MS)
    await Promise.all(
      clients.flatMap((one, i) =>
        Array.from({ length: 8 }, async (_, n) => {
          const length = ((round * 31 + n * 7) % 400) + (round === n && i === n % 4 ? 70_000 : 0)
          await one.publishAsync(`topic/${i}/${n}`, Buffer.alloc(length, 97 + n), { qos: (n % 3) as 0 | 1 | 2 })
        })
      )
    )
  }
  await Promise.all([...clients, subscriber].map(endClient))
}

/** Decodes a capture. Returns header and length of the packets that each frame completes. */
async function decode(capture: string, port: number): Promise<Map<number, string[]>> {
  const found = new Map<number, string[]>()
  const ports = new Set([port])
  const tcp = new TcpDecoder(ports)
  const streams = new TcpStreams(ports)
  const flows = new Map<TcpStream, Record<Direction, Unwrapper>>()
  let number = 0
  const decoder = new CaptureDecoder(captured => {
    const frame = tcp.decode(captured, ++number)
    if (frame === null) return
    const { stream, direction, chunks } = streams.push(frame)
    const flow = flows.get(stream) ?? { in: new Unwrapper(), out: new Unwrapper() }
    flows.set(stream, flow)
    const packets = chunks.flatMap(({ bytes }) => (bytes === null ? [] : flow[direction].push(Buffer.from(bytes))))
    if (packets.length > 0) found.set(number, packets)
  })
  for await (const chunk of createReadStream(capture)) decoder.push(chunk as Buffer)
  return found
}

/** Decodes the MQTT packets of one direction. */
class Unwrapper {
  readonly #walker = new MqttWalker({ topicCapBytes: 0, payloadCapBytes: 0, session: { version: 4 } })
  readonly #payloads = new WebSocketPayloads()

  push(bytes: Buffer): string[] {
    const packets: string[] = []
    for (const payload of this.#payloads.push(bytes)) {
      this.#walker.push(payload, ({ header, remainingLength }) => {
        packets.push(`${header} ${remainingLength}`)
      })
    }
    return packets
  }
}
