// mqtt-malaria as it behaves: client ids, topics, sizes and the window of 200 unacknowledged messages are the tool's.

import type { Attacker } from '../attacker.js'

/** What the tool is told on its command line. */
export interface MalariaSettings {
  /** Messages a second; Infinity: as fast as it can. */
  rate: number
  /** Messages of each process. */
  count: number
  payload: (attacker: Attacker, bytes: number) => string
}

const IN_FLIGHT = 200
/** Python's string.hexdigits, which the tool makes payloads of. */
export const HEX_DIGITS = '0123456789abcdefABCDEF'
/** So fast is "as fast as it can" here, for each process: the broker of a lab shall live. */
const FASTEST_PER_TICK = 60
const TICK_MS = 100
const JITTER = 0.1

/** So many hex digits. */
export function hexDigits({ chance }: Attacker, bytes: number): string {
  return chance.text(bytes, HEX_DIGITS)
}

/** What one process of the tool does. */
export async function publish(attacker: Attacker, { rate, count, payload }: MalariaSettings): Promise<void> {
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
      await attacker.pause((1_000 / rate) * chance.between(1 - JITTER, 1 + JITTER))
    }
  }
  for (let waited = 0; waited < 20 && inFlight > 0 && client.connected && !attacker.over; waited++)
    await attacker.pause(50)
  client.end(!client.connected)
}
