// Inputs that failed earlier, and a short fuzzing run on every target.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, readdirSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { check, type FuzzTarget } from '../../bench/fuzz/target.js'
import { BlockCoverage } from '../../bench/fuzz/coverage.js'
import { fuzz } from '../../bench/fuzz/campaign.js'
import { TARGETS } from '../../bench/fuzz/targets/index.js'

const KEPT = fileURLToPath(new URL('../../../test/fuzz/', import.meta.url))
const PROGRAM = fileURLToPath(new URL('../../bench/fuzz/fuzz.js', import.meta.url))
const INPUTS = 20_000

for (const name of readdirSync(KEPT)) {
  t.test(`stored inputs of ${name}`, async t => {
    const target = TARGETS.find(target => target.name === name)
    t.ok(target, 'the target exists')
    for (const file of readdirSync(`${KEPT}${name}`)) {
      await target?.run(new Uint8Array(readFileSync(`${KEPT}${name}/${file}`)))
      t.pass(file)
    }
  })
}

t.test(`no findings with ${INPUTS} inputs`, async t => {
  const child = spawn(process.execPath, [PROGRAM, '--inputs', String(INPUTS), '--seed', '7'], {
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const [out, err, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>
  ])
  t.equal(err, '')
  t.equal(code, 0)
  for (const { name } of TARGETS) t.match(out, `| ${name} |`)
})

t.test('a violation is found, minimised and reported', async t => {
  const broken: FuzzTarget = {
    name: 'broken',
    properties: '',
    weight: 1,
    covers: [],
    generate: random => Uint8Array.from({ length: 20 }, () => random.integer(256)),
    run(input) {
      check(!input.includes(0x42), 'the input has 0x42')
    }
  }
  const coverage = new BlockCoverage()
  t.teardown(() => {
    coverage.stop()
  })
  const endless = {
    ...broken,
    run: (input: Uint8Array) => {
      for (;;) if (!input.includes(0x43)) return
    }
  }
  const { findings } = await fuzz(broken, { inputs: 500, seed: 1, coverage, kept: [] })
  t.equal(findings.length, 1)
  t.match(findings, [{ what: 'the input has 0x42' }])
  t.same([...findings[0].input], [0x42])
  const hanging = await fuzz(endless, { inputs: 1, seed: 1, coverage, kept: [Uint8Array.of(0x43)], hangMs: 200 })
  t.match(hanging.findings, [{ what: 'does not terminate', count: 1 }])
})
