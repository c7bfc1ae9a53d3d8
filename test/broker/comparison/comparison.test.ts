// Runs every case on Debian's mosquitto and on this broker, with the same files.

import t from 'tap'
import { programMissing } from '../../support/programs.js'
import { CASES } from './cases.js'
import { startCompared } from './compared-brokers.js'

const skip = programMissing('mosquitto') || programMissing('mosquitto_passwd') || programMissing('openssl')

for (const name of ['mosquitto', 'artemis'] as const) {
  t.test(name, { skip }, async t => {
    t.jobs = 2
    for (const { name: title, config, run, expected, ours } of CASES) {
      const expectedResult = name === 'artemis' && ours !== undefined ? ours.expected : expected
      t.test(title, async t => {
        const broker = await startCompared(t, name, config)
        t.strictSame(await run(broker), expectedResult)
      })
    }
  })
}
