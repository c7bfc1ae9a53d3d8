// A plan of the lab: determined by its seed, with newcomers for each attacker.

import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'
import { ATTACKS } from '../../bench/lab/attacks/catalog.js'
import { DEVICE_KINDS } from '../../bench/lab/devices/catalog.js'
import { Home } from '../../bench/lab/home.js'
import { makePlan } from '../../bench/lab/plan.js'

const OPTIONS = { attack: { name: 'malaria', attackers: [3, 6] as const }, durationMs: 90_000, kinds: DEVICE_KINDS }

t.test('the plan depends only on the seed', async t => {
  const [one, again, other] = [1, 1, 2].map(seed => makePlan({ ...OPTIONS, seed }))
  t.same(one, again)
  t.notSame(
    one.parties.map(({ address }) => address),
    other.parties.map(({ address }) => address)
  )
  const [home, another] = [one, other].map(({ seed, parties }) => new Home(seed, parties))
  t.notSame(home.namesOf('dht11'), another.namesOf('dht11'))
  t.equal(new Set(home.namesOf('switch')).size, home.namesOf('switch').length, 'switches have unique names')
})

t.test('neither address nor arrival reveals an attacker', async t => {
  for (let seed = 0; seed < 50; seed++) {
    const { parties, attackFromMs, attackToMs } = makePlan({ ...OPTIONS, seed })
    const [attackers, newcomers, devices] = ['attacker', 'newcomer', 'device'].map(role =>
      parties.filter(party => party.role === role)
    )
    t.ok(attackers.length >= 3 && attackers.length <= 6)
    t.ok(newcomers.length >= attackers.length)
    t.ok(devices.every(({ arriveMs }) => arriveMs < attackFromMs))
    t.equal(new Set(parties.map(({ address }) => address)).size, parties.length, 'unique addresses')
    t.ok(attackers.every(({ arriveMs }) => arriveMs >= attackFromMs && arriveMs < attackToMs))
    for (const { arriveMs } of attackers)
      t.ok(
        newcomers.some(newcomer => Math.abs(newcomer.arriveMs - arriveMs) <= 500),
        'a newcomer arrives with each attacker'
      )
    t.same([...new Set(attackers.map(({ address }) => address.split('.').slice(0, 2).join('.')))], ['198.18'])
  }
})

t.test('a capture without an attack also has newcomers', async t => {
  const { parties, attack } = makePlan({ ...OPTIONS, attack: null, seed: 3 })
  t.equal(attack, null)
  t.notOk(parties.some(({ role }) => role === 'attacker'))
  t.ok(parties.some(({ role, arriveMs }) => role === 'newcomer' && arriveMs > 30_000))
})

t.test('docs/lab.md lists every device and every attack', async t => {
  const page = readFileSync(new URL('../../../docs/lab.md', import.meta.url), 'utf8')
  for (const { name, residents } of DEVICE_KINDS) t.ok(page.includes(`| ${name} | ${residents} |`), name)
  for (const { name } of ATTACKS) t.ok(page.includes(`| ${name} |`), name)
})

t.test('every attack has its own file', async t => {
  for (const { name } of ATTACKS)
    t.ok(existsSync(new URL(`../../../bench/lab/attacks/${name}.ts`, import.meta.url)), name)
})
