// Generated captures for tests of training: sensors that publish, and a client that floods.

import { Random } from '../../models/random.js'
import type { CapturedFrame } from '../../src/types.js'
import { ACK, pcapFile, Talk } from '../decode/craft.js'
import { connect, CONNACK, PINGREQ, PINGRESP, publish } from '../decode/craft-mqtt.js'

/** Address of the flooding client. */
export const ATTACKER = '10.0.0.66'

/** Start of the captures and of the flood, epoch seconds. */
export const BEGIN = 1_700_000_000
export const FLOOD_BEGIN = BEGIN + 1_000

/** Returns the frames of one sensor with `rounds` messages: JSON, acknowledgements, occasional pings. */
function sensor(client: string, start: number, rounds: number, random: Random): CapturedFrame[] {
  const talk = new Talk(40_000 + random.integer(20_000), start, client).open()
  talk.send('in', connect(4, `sensor-${client}`))
  talk.send('out', CONNACK)
  for (let i = 0; i < rounds; i++) {
    talk.send('in', publish('home/kitchen', `{"t":${random.integer(400) / 10},"n":${random.integer(1000)}}`))
    talk.send('out', new Uint8Array(0), ACK)
    if (random.integer(10) > 0) continue
    talk.send('in', PINGREQ)
    talk.send('out', PINGRESP)
  }
  return talk.frames
}

/** Returns the frames of a flood with random payloads on random topics. */
function flood(messages: number, random: Random): CapturedFrame[] {
  const talk = new Talk(50_000, FLOOD_BEGIN, ATTACKER).open()
  talk.send('in', connect(4, 'malaria'))
  talk.send('out', CONNACK)
  for (let i = 0; i < messages; i++) {
    const payload = Uint8Array.from({ length: 400 }, () => random.integer(256))
    talk.send('in', publish(`mqtt-malaria/${random.integer(1e9)}/data/${i}`, payload, { qos: 1 }))
  }
  return talk.frames
}

/** Returns a capture of `sensors` sensors, one after the other, with about 210 frames each. */
export function benignCapture(sensors = 3, seed = 1): Buffer {
  return pcapFile(benignFrames(sensors, seed))
}

/** Returns the same, followed by a flood of `messages` messages from {@link ATTACKER}. */
export function attackedCapture(sensors = 3, messages = 100, seed = 2): Buffer {
  return pcapFile([...benignFrames(sensors, seed), ...flood(messages, new Random(seed))])
}

function benignFrames(sensors: number, seed: number): CapturedFrame[] {
  const random = new Random(seed)
  return Array.from({ length: sensors }, (_, i) => sensor(`10.0.0.${10 + i}`, BEGIN + 10 * i, 95, random)).flat()
}
