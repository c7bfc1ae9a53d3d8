// Labels by construction: a frame is an attack's if it would not be there without the attack.

import { createReadStream, createWriteStream, readFileSync } from 'node:fs'
import { once } from 'node:events'
import { CaptureDecoder } from '../../src/decode/capture.js'
import { TcpDecoder } from '../../src/decode/tcp-decoder.js'
import { TcpStreams } from '../../src/decode/tcp-streams.js'
import { Conversation, type Provenance } from './conversation.js'
import type { Party, Role } from './plan.js'
import { Takeovers } from './takeovers.js'
import type { Target } from './target.js'
import type { TcpStream } from '../../src/types.js'

/** What to label, and what is known of it. */
export interface LabelInput {
  /** The capture. */
  capture: string
  /** Name of the attack; null where there is none. */
  attack: string | null
  parties: readonly Party[]
  /** Ledgers of the devices and of the attackers. */
  ledgers: readonly string[]
  /** Where the broker listens. What it says over TLS is not looked into. */
  target: Target
  /** Where `frame,label` goes: the attack's name or 0, for all that the attack caused. */
  labels: string
  /** The same, by address alone: only frames to and from attackers. */
  byAddress: string
  /** The same for newcomers: `newcomer` or 0. */
  newcomers: string
}

/** How many frames are what. */
export interface LabelFigures {
  frames: number
  attack: number
  /** Of these, frames from the broker to benign clients that carry an attacker's messages. */
  forwarded: number
  /** And frames of benign connections that do nothing but acknowledge these. */
  answers: number
  /** And frames of clients whose id an attacker took: their connection's end, and their return. */
  taken: number
  newcomer: number
  /** Benign connections in which messages could not be followed to the end. */
  lostStreams: number
}

/** Labels a capture. */
export async function labelCapture({
  capture,
  attack,
  parties,
  ledgers,
  target,
  labels,
  byAddress,
  newcomers
}: LabelInput): Promise<LabelFigures> {
  const roles = new Map<string, Role>(parties.map(({ address, role }) => [address, role]))
  const provenance = readLedgers(ledgers)
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
        (conversation = new Conversation(provenance, placed.stream.broker.port === target.webSocketPort))
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

/** The addresses of an IPv4 frame on Ethernet; empty texts for any other. */
function addressesOf(bytes: Buffer): [string, string] {
  if (bytes.length < ETHERNET_BYTES + 20 || bytes.readUInt16BE(12) !== IPV4) return ['', '']
  return [bytes.subarray(26, 30).join('.'), bytes.subarray(30, 34).join('.')]
}

/** Who published what when, of all messages that some attacker published. */
function readLedgers(paths: readonly string[]): Provenance {
  const entries = paths.flatMap(path =>
    readFileSync(path, 'utf8')
      .split('\n')
      .filter(line => line !== '')
      .map(line => {
        const fields = line.split(',')
        return { time: Number(fields[0]), isAttack: fields[1] === 'attacker', digest: fields.at(-1) ?? '' }
      })
  )
  const provenance: Provenance = new Map()
  for (const { isAttack, digest } of entries) if (isAttack) provenance.set(digest, [])
  for (const { time, isAttack, digest } of entries) provenance.get(digest)?.push({ time, isAttack })
  for (const times of provenance.values()) times.sort((a, b) => a.time - b.time)
  return provenance
}
