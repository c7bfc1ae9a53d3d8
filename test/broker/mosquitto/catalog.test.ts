// The catalog contains every directive of the installed mosquitto, and the documentation contains its table.

import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { partOf, settingsSchema } from '../../../broker/config/schema.js'
import { DIRECTIVES, directiveOf } from '../../../broker/mosquitto/catalog.js'
import { directiveTable } from '../../../broker/mosquitto/documentation.js'
import { VALUES } from '../../../broker/mosquitto/values.js'
import { findProgram, programMissing } from '../../support/programs.js'

t.test('each directive has one row with a description', t => {
  const names = DIRECTIVES.map(({ name }) => name)
  t.same(names, [...new Set(names)])
  for (const { name, here } of DIRECTIVES) t.match(here, /^[^\n|]+[.:]$/, name)
  t.equal(directiveOf('auth_opt_anything')?.name, 'auth_opt_*')
  t.equal(directiveOf('plugin_opt_x')?.name, 'plugin_opt_*')
  t.equal(directiveOf('plugin_opt_'), undefined)
  t.equal(directiveOf('constructor'), undefined)
  t.end()
})

t.test('each directive with a key maps to an existing setting', t => {
  for (const { name, key, of } of DIRECTIVES) {
    if (key === undefined) continue
    t.type(VALUES[key], 'function', name)
    let part = partOf(settingsSchema)
    const steps = [...(of === 'listener' ? ['listeners'] : of === 'security' ? ['auth'] : []), ...key.split('.')]
    for (const step of steps) {
      if (part.kind === 'list') part = partOf(part.item)
      const schema = part.kind === 'map' ? part.entries[step] : undefined
      if (schema === undefined) {
        t.fail(`${name}: no setting ${steps.join('.')}`)
        break
      }
      part = partOf(schema)
    }
  }
  t.end()
})

t.test('the catalog and the installed mosquitto have the same directives', { skip: programMissing('mosquitto') }, t => {
  const folder = t.testdir({})
  const program = findProgram('mosquitto')
  const knows = (name: string): boolean => {
    const file = path.join(folder, 'try.conf')
    // The second line makes mosquitto exit if it accepts the first.
    writeFileSync(file, `${name} x\nno-directive x\n`)
    const { stderr, stdout } = spawnSync(program, ['-c', file], { encoding: 'utf8', timeout: 20_000 })
    return !`${stdout}${stderr}`.includes(`Unknown configuration variable "${name}"`)
  }
  // Added in versions after that of Debian 12.
  const later = ['websockets_origin', 'bridge_max_topic_alias', 'bridge_tcp_keepalive']
  for (const { name } of DIRECTIVES) if (!later.includes(name)) t.ok(knows(name.replace('*', 'x')), name)
  const words = new Set(
    [...readFileSync(program, 'latin1').matchAll(/\0([a-z]+(?:_[a-z0-9.]+)+)\0/g)].map(([, word]) => word)
  )
  const candidates = [...words].filter(
    word =>
      directiveOf(word) === undefined &&
      /^(allow|auth|auto|bind|bridge|ca|cert|check|cipher|client|connection|crl|http|idle|include|keepalive|local_|log|max|memory|message|mount|notif|password|per_|persist|pid|plugin|psk|queue|remote_|require|restart|retain|retry|round|set_|socket|start_|store|sys|tls|topic|trace|try|upgrade|use|web)/.test(
        word
      )
  )
  t.ok(words.has('allow_anonymous'), 'the names were read from the program')
  t.same(candidates.filter(knows), [])
  t.end()
})

t.test('the documentation contains the current table', t => {
  const page = readFileSync(new URL('../../../../docs/mosquitto.md', import.meta.url), 'utf8')
  t.ok(
    page.includes(directiveTable()),
    'docs/mosquitto.md is out of date: its table is directiveTable() of broker/mosquitto/documentation.ts'
  )
  t.end()
})
