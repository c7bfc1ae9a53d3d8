// Every golden capture decodes as in tshark, except for the listed exceptions.
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { compareWithTshark } from '../../bench/parity/compare.js'
import { programMissing } from '../support/programs.js'

const CAPTURES = fileURLToPath(new URL('../../../test/captures/', import.meta.url))
const names = readdirSync(CAPTURES)
  .filter(name => name.endsWith('.ndjson'))
  .map(name => name.slice(0, -'.ndjson'.length))

/** Captures with listed exceptions, and their number of frames. */
const EXCEPTIONS: Readonly<Record<string, object>> = {
  'gaps.pcap': { 'gap or mid-stream': 3 },
  'headers.pcap': { 'reserved bits': 3 },
  'mosquitto-31.pcap': { 'QoS of MQTT 3.1': 3 }
}

for (const name of names) {
  t.test(name, { skip: programMissing('tshark') }, async t => {
    const { frames, differences, exceptions, examples, fault } = await compareWithTshark(CAPTURES + name, [1883, 8883])
    t.ok(frames > 0)
    t.equal(fault, null)
    t.same(Object.fromEntries(differences), {}, examples.join('\n'))
    t.same(Object.fromEntries(exceptions), EXCEPTIONS[name] ?? {})
  })
}
