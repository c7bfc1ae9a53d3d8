// Labels the frames of a capture: an attack frame is a frame that the attack caused.

import { createReadStream, createWriteStream, readFileSync } from 'node:fs'
import { once } from 'node:events'
import { CaptureDecoder } from '../../src/decode/capture.js'
import { TcpDecoder } from '../../src/decode/tcp-decoder.js'
import { TcpStreams } from '../../src/decode/tcp-streams.js'
import { Conversation, type Publications } from './conversation.js'
import type { Party, Role } from './plan.js'
import { Takeovers } from './takeovers.js'
import type { Target } from './target.js'
import type { TcpStream } from '../../src/types.js'

/** Input and output files of labelling. */
export interface LabelInput {
  capture: string
  /** Name of the attack; null if there is none. */
  attack: string | null
  parties: readonly Party[]
  /** Message logs of devices and attackers. */
  messageLogs: readonly string[]
  /** Listeners of the broker. TLS is not decoded. */
  target: Target
  /** Output file with `frame,label`: the attack's name or 0, for all frames that the attack caused. */
  labels: string
  /** Output file with labels by address: only frames to and from attackers. */
  byAddress: string
  /** Output file for newcomers: `newcomer` or 0. */
  newcomers: string
}

/** Frame counts. */
export interface LabelFigures {
  frames: number
  attack: number
  /** Attack frames from the broker to benign clients with attackers' messages. */
  forwarded: number
  /** Attack frames of benign connections that only acknowledge these. */
  answers: number
  /** Attack frames of clients whose id was taken over: the end of the connection, and the reconnection. */
  taken: number
  newcomer: number
  /** Benign connections that could not be decoded to the end. */
  lostStreams: number
}

/** Labels a capture. */
export async function labelCapture({
  capture,
  attack,
  parties,
  messageLogs,
  target,
  labels,
  byAddress,
  newcomers
}: LabelInput): Promise<LabelFigures> {
  const roles = new Map<string, Role>(parties.map(({ address, role }) => [address, role]))
  const publications = readMessageLogs(messageLogs)
  const owners: (Role | null)[] = []
  const watched = new Set([target.port, target.webSocketPort].filter(port => port !== null))
  const mqtt = new TcpDecoder(watched)
  const streams = new TcpStreams(watched)
  const takeovers = new Takeovers()
  const conversations = new Map<TcpStream, Conversation>()
  const decoder = new CaptureDecoder(captured => {
    const [source, destination] = addressesOf(captured.bytes)
    const role = roles.get(source) ?? roles.get(destination) ?? null
    owners.push(role)
    const frame = mqtt.decode(captured, owners.length)
    if (frame === null) return
    const placed = streams.push(frame)
    if (attack === null) return
    takeovers.push(placed, role === 'attacker')
    if (role === 'attacker') return
    let conversation = conversations.get(placed.stream)
    if (conversation === undefined)
      conversations.set(
        placed.stream,
        (conversation = new Conversation(publications, placed.stream.broker.port === target.webSocketPort))
      )
    conversation.push(placed)
  })
  for await (const chunk of createReadStream(capture)) decoder.push(chunk as Buffer)
  decoder.end()

  const caused = new Map<number, 'forwarded' | 'answer' | 'taken'>()
  for (const frame of takeovers.attackFrames()) caused.set(frame, 'taken')
  let lostStreams = 0
  for (const conversation of conversations.values()) {
    for (const { number, isAnswer } of conversation.attackFrames())
      caused.set(number, isAnswer ? 'answer' : 'forwarded')
    if (conversation.lost) lostStreams++
  }
  const isAttack = (number: number, role: Role | null): boolean => role === 'attacker' || caused.has(number)
  await writeColumn(labels, owners, (number, role) => (isAttack(number, role) ? (attack ?? '0') : '0'))
  await writeColumn(byAddress, owners, (_number, role) => (role === 'attacker' ? (attack ?? '0') : '0'))
  await writeColumn(newcomers, owners, (_number, role) => (role === 'newcomer' ? 'newcomer' : '0'))
  const causes = [...caused.values()]
  const count = (cause: string): number => causes.filter(one => one === cause).length
  return {
    frames: owners.length,
    attack: owners.filter((role, i) => isAttack(i + 1, role)).length,
    forwarded: count('forwarded'),
    answers: count('answer'),
    taken: count('taken'),
    newcomer: owners.filter(role => role === 'newcomer').length,
    lostStreams
  }
}

async function writeColumn(
  path: string,
  owners: readonly (Role | null)[],
  labelOf: (number: number, role: Role | null) => string
): Promise<void> {
  const file = createWriteStream(path)
  file.write('frame,label\n')
  for (const [i, role] of owners.entries()) {
    if (!file.write(`${i + 1},${labelOf(i + 1, role)}\n`)) await once(file, 'drain')
  }
  file.end()
  await once(file, 'close')
}

const ETHERNET_BYTES = 14
const IPV4 = 0x0800

/** Returns the addresses of an IPv4 frame on Ethernet; empty texts for other frames. */
function addressesOf(bytes: Buffer): [string, string] {
  if (bytes.length < ETHERNET_BYTES + 20 || bytes.readUInt16BE(12) !== IPV4) return ['', '']
  return [bytes.subarray(26, 30).join('.'), bytes.subarray(30, 34).join('.')]
}

/** Reads the publications of all messages that an attacker published. */
function readMessageLogs(paths: readonly string[]): Publications {
  const entries = paths.flatMap(path =>
    readFileSync(path, 'utf8')
      .split('\n')
      .filter(line => line !== '')
      .map(line => {
        const fields = line.split(',')
        return { time: Number(fields[0]), isAttack: fields[1] === 'attacker', digest: fields.at(-1) ?? '' }
      })
  )
  const publications: Publications = new Map()
  for (const { isAttack, digest } of entries) if (isAttack) publications.set(digest, [])
  for (const { time, isAttack, digest } of entries) publications.get(digest)?.push({ time, isAttack })
  for (const times of publications.values()) times.sort((a, b) => a.time - b.time)
  return publications
}
