// Behaviour of mqtt-malaria: client ids, topics, sizes and the window of 200 unacknowledged messages are those of the
// tool.

import type { Attacker } from '../attacker.js'

/** Command line settings of the tool. */
export interface MalariaSettings {
  /** Messages per second; Infinity for full speed. */
  rate: number
  /** Messages per process. */
  count: number
  payload: (attacker: Attacker, bytes: number) => string
}

const IN_FLIGHT = 200
/** Python's string.hexdigits, from which the tool makes payloads. */
export const HEX_DIGITS = '0123456789abcdefABCDEF'
/** Full speed here, per process: limited so that the broker of the lab survives. */
const FASTEST_PER_TICK = 60
const TICK_MS = 100
const JITTER = 0.1

/** Returns a payload of hex digits. */
export function hexDigits({ random }: Attacker, bytes: number): string {
  return random.text(bytes, HEX_DIGITS)
}

/** Runs one process of the tool. */
export async function publish(attacker: Attacker, { rate, count, payload }: MalariaSettings): Promise<void> {
  const { random, party } = attacker
  const clientId = `beem.loadr-${random.oneOf(['kali', 'ubuntu', 'vps', 'debian'])}-${random.integer(900, 32_000)}-${party.index}`
  // The tool's default of 100 bytes, and 500 and 1000 from its examples.
  const meanBytes = random.oneOf([100, 500, 500, 1_000])
  const client = await attacker.client({ clientId, keepalive: 60, nagle: true })
  if (client === null) return
  let inFlight = 0
  const message = (sequence: number): void => {
    const bytes = Math.max(1, Math.round(random.normal(meanBytes, meanBytes / 20)))
    const topic = `mqtt-malaria/${clientId}/data/${sequence}/${count}`
    const text = payload(attacker, bytes)
    attacker.logMessage(clientId, topic, text)
    inFlight++
    client.publish(topic, text, { qos: 1 }, () => {
      inFlight--
    })
  }
  for (let sent = 0; sent < count && !attacker.over && client.connected;) {
    if (rate === Infinity) {
      for (let i = 0; i < FASTEST_PER_TICK && inFlight < IN_FLIGHT && sent < count; i++) message(++sent)
      await attacker.pause(TICK_MS)
    } else {
      message(++sent)
      await attacker.pause((1_000 / rate) * random.between(1 - JITTER, 1 + JITTER))
    }
  }
  for (let waited = 0; waited < 20 && inFlight > 0 && client.connected && !attacker.over; waited++)
    await attacker.pause(50)
  client.end(!client.connected)
}
