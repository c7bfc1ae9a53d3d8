// Settings: precedence of options, file and defaults; all errors at once with their locations; the example file.

import { readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { isMap, isScalar, isSeq, LineCounter, parseDocument, type Node } from 'yaml'
import type { GenericSchema } from 'valibot'
import { DETECTOR_KINDS } from '../../../models/index.js'
import { OperatorError } from '../../../src/errors.js'
import { DEFAULTS } from '../../../src/index.js'
import { partOf, settingsSchema } from '../../../broker/config/schema.js'
import { readSettings, type EffectiveSettings, type Flags } from '../../../broker/config/settings.js'

const example = fileURLToPath(new URL('../../../../artemis.example.yaml', import.meta.url))

/** The plug-in's defaults that can be set in the file. */
function pick({ tap, payloadCapBytes, detector, learn, alert, response }: typeof DEFAULTS): object {
  return { tap, payloadCapBytes, detector, learn, alert, response }
}

/** Returns the issues of the settings in a folder, one per line. */
function issuesOf(folder: string, flags: Flags = {}): string[] {
  try {
    readSettings(flags, folder)
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error
    return error.message
      .split('\n')
      .slice(1)
      .map(line => line.trim())
  }
  return []
}

function keysOf(schema: GenericSchema, key: string): string[] {
  const part = partOf(schema)
  if (part.kind === 'value') return [key]
  if (part.kind === 'list') return partOf(part.item).kind === 'value' ? [key] : keysOf(part.item, `${key}[0]`)
  if (part.isOptional) return [key]
  return Object.entries(part.entries).flatMap(([name, inner]) => keysOf(inner, key === '' ? name : `${key}.${name}`))
}

t.test('uses the defaults without a file and options', t => {
  const folder = t.testdir({})
  const { settings, file, sources } = readSettings({}, folder)
  t.equal(file, undefined)
  t.match(settings, {
    listeners: [{ host: '127.0.0.1', port: 1883 }],
    data: path.join(folder, 'artemis-data'),
    limits: { packetSize: 16 * 1024 * 1024, connectTimeout: 30_000 },
    tap: { target: 'auto' },
    learn: { duration: 600_000, minimumRecords: 2000 },
    alert: { weight: 0.4, batchRecords: 100, batchDuration: 200 },
    response: { action: 'observe', banDuration: 600_000, allow: [] }
  })
  t.same([...new Set(sources.values())], ['default'])
  t.end()
})

t.test('the defaults match those of the plug-in', t => {
  const { settings } = readSettings({}, t.testdir({}))
  const { detector, learn, alert, response, tap } = settings
  t.same(
    {
      tap: { target: tap.target, snapLength: tap.snapLength },
      payloadCapBytes: detector.payloadCap,
      detector: {
        kind: detector.kind,
        contamination: detector.contamination,
        seed: detector.seed,
        features: detector.features
      },
      learn: { seconds: learn.duration / 1000, minimumRecords: learn.minimumRecords },
      alert: { weight: alert.weight, batchRecords: alert.batchRecords, batchMs: alert.batchDuration },
      response: { action: response.action, banSeconds: response.banDuration / 1000 }
    },
    pick(DEFAULTS)
  )
  t.end()
})

t.test('options override the file, the file overrides defaults, and the source of each is recorded', t => {
  const folder = t.testdir({
    'artemis.yaml': 'listeners:\n  - host: 0.0.0.0\n    port: 1884\n  - port: 1885\n\nresponse: { banDuration: 1.5h }\n'
  })
  const { settings, sources, file } = readSettings({ port: '1999', data: 'elsewhere' }, folder)
  t.equal(file, path.join(folder, 'artemis.yaml'))
  t.match(settings.listeners, [
    { host: '0.0.0.0', port: 1999 },
    { host: '127.0.0.1', port: 1885 }
  ])
  t.equal(settings.response.banDuration, 5_400_000)
  t.equal(settings.data, path.join(folder, 'elsewhere'))
  const source = (key: string) => sources.get(key)
  t.equal(source('listeners[0].host'), 'artemis.yaml:2')
  t.equal(source('listeners[0].port'), '--port')
  t.equal(source('listeners[1].port'), 'artemis.yaml:4')
  t.equal(source('listeners[1].host'), 'default')
  t.equal(source('response.banDuration'), 'artemis.yaml:6')
  t.equal(source('response.action'), 'default')
  t.end()
})

t.test('paths are relative to the folder of the file, on the command line to the working directory', t => {
  const folder = t.testdir({
    etc: { 'a.yaml': 'data: state\nreport:\n  eve: /var/log/eve.json\ntap:\n  identity: ~/.ssh/id\n' }
  })
  const { settings } = readSettings({ config: 'etc/a.yaml' }, folder)
  t.equal(settings.data, path.join(folder, 'etc/state'))
  t.equal(settings.report.eve, '/var/log/eve.json')
  t.ok(path.isAbsolute(settings.tap.identity ?? ''))
  t.end()
})

t.test('reports all errors at once: location, key, value and expected value', t => {
  const folder = t.testdir({
    'artemis.yaml': [
      'listeners:',
      '  - port: 99999',
      '    hots: 0.0.0.0',
      '  - port: "1883"',
      'alrt:',
      '  weight: 0.4',
      'learn:',
      '  duration: 600',
      '  duration: 10 minutes',
      '  minimumRecords: 1.5',
      'response: ban',
      'limits:',
      '  packetSize: 1TiB',
      'port: 1883',
      'tap: { target: "ether0", hostKey: MD5:ab }',
      'detector:',
      '  contamination: 0.7',
      '  kind: null',
      'log:',
      '  level: [info]',
      '  format:'
    ].join('\n')
  })
  t.same(issuesOf(folder, { port: 'http', host: 'a b' }), [
    'artemis.yaml:2: listeners[0].port: 99999 should be a whole number from 0 to 65535',
    'artemis.yaml:3: listeners[0].hots: unknown key; did you mean host?',
    'artemis.yaml:4: listeners[1].port: "1883" should be a whole number from 0 to 65535',
    'artemis.yaml:5: alrt: unknown key; did you mean alert?',
    'artemis.yaml:8: learn.duration: 600 should be a duration from 0s to 30d with its unit (ms, s, m, h, d), such as 10m',
    'artemis.yaml:9: learn.duration: duplicate key, first on line 8; keep one',
    'artemis.yaml:10: learn.minimumRecords: 1.5 should be a whole number from 1 to 10000000',
    'artemis.yaml:11: response: "ban" should be a map with the keys action, banDuration, allow',
    'artemis.yaml:13: limits.packetSize: "1TiB" should be a size from 20B to 256MiB with its unit (B, KiB, MiB), such as 16MiB',
    'artemis.yaml:14: port: unknown key; did you mean listeners[].port?',
    'artemis.yaml:15: tap.target: "ether0" should be ssh://user@host[:port]/interface, local:interface, none or auto',
    'artemis.yaml:15: tap.hostKey: "MD5:ab" should be a fingerprint as printed by ssh-keygen -l (SHA256:...), or null',
    'artemis.yaml:17: detector.contamination: 0.7 should be a number above 0 and up to 0.5',
    `artemis.yaml:18: detector.kind: null should be one of ${DETECTOR_KINDS.join(', ')}`,
    'artemis.yaml:20: log.level: a list should be one of trace, debug, info, warn, error, fatal, silent',
    'artemis.yaml:21: log.format: null should be one of auto, text, json',
    '--host: "a b" should be an address of this machine, such as 127.0.0.1, ::1, 0.0.0.0 or localhost',
    '--port: "http" should be a whole number from 0 to 65535'
  ])
  t.end()
})

t.test('reads all keys of a listener', t => {
  const folder = t.testdir({
    'artemis.yaml': [
      'listeners:',
      '  - host: "::"',
      '    protocol: websockets',
      '    path: /mqtt',
      '    tls:',
      '      cert: pem/cert.pem',
      '      key: /etc/key.pem',
      '    proxy: [ 10.0.0.0/8, "2001:db8::7" ]',
      '    origins: [ "https://panel.example", "http://192.0.2.7:8123" ]',
      '    allowAnonymous: false',
      'limits: { connections: null, loginAttempts: { window: 1m } }'
    ].join('\n')
  })
  const {
    settings: {
      listeners: [listener],
      limits
    },
    sources
  } = readSettings({}, folder)
  t.same(listener, {
    host: '::',
    port: 1883,
    protocol: 'websockets',
    path: '/mqtt',
    maxConnections: null,
    tls: {
      cert: path.join(folder, 'pem/cert.pem'),
      key: '/etc/key.pem',
      ca: null,
      requireClientCertificate: false,
      identityAsUsername: false
    },
    proxy: ['10.0.0.0/8', '2001:db8::7'],
    origins: ['https://panel.example', 'http://192.0.2.7:8123'],
    allowAnonymous: false,
    passwordFile: null,
    aclFile: null
  })
  t.match(limits, { connections: null, connectionsPerAddress: 200, loginAttempts: { perAddress: 20, window: 60_000 } })
  t.equal(sources.get('listeners[0].tls.cert'), 'artemis.yaml:6')
  t.equal(sources.get('listeners[0].tls.ca'), 'default')
  t.equal(sources.get('listeners[0].proxy[1]'), 'artemis.yaml:8')
  t.end()
})

t.test('reports missing values and conflicting values', t => {
  const of = (...lines: string[]): string[] =>
    issuesOf(
      t.testdir({ 'artemis.yaml': ['listeners:', '  - port: 1', ...lines.map(line => `    ${line}`)].join('\n') })
    )
  t.same(of('tls: { cert: a }'), ['artemis.yaml:3: listeners[0].tls.key: missing, it should be a path'])
  t.same(of('tls:', '  cert: a', '  key: b', '  requireClientCertificate: true'), [
    'artemis.yaml:3: listeners[0].tls.ca: null should be a path if requireClientCertificate is true'
  ])
  t.same(of('tls:', '  cert: a', '  key: b', '  identityAsUsername: true'), [
    'artemis.yaml:3: listeners[0].tls.requireClientCertificate: false should be true if identityAsUsername is true'
  ])
  t.same(of('tls: null'), [])
  t.match(of('tls: a'), [/^artemis\.yaml:3: listeners\[0\]\.tls: "a" should be a map with the keys cert, key, ca/])
  t.match(of('proxy: [ 10.0.0.0/33 ]', 'origins: [ panel.example ]', 'path: mqtt'), [
    /^artemis\.yaml:3: listeners\[0\]\.proxy\[0\]: "10\.0\.0\.0\/33" should be an address or a network/,
    /^artemis\.yaml:4: listeners\[0\]\.origins\[0\]: "panel\.example" should be an origin/,
    /^artemis\.yaml:5: listeners\[0\]\.path: "mqtt" should be a path that starts with \//
  ])
  t.end()
})

t.test('reports invalid YAML and wrong types', t => {
  const broken = t.testdir({ 'artemis.yaml': 'data: x\nlog: {level: info\n' })
  t.match(issuesOf(broken), [/^artemis\.yaml:\d: invalid YAML: /])
  t.same(
    issuesOf(t.testdir({ 'artemis.yaml': '- data\n' })).map(line => line.slice(0, 35)),
    ['artemis.yaml:1: a list should be a ']
  )
  t.same(issuesOf(t.testdir({ 'artemis.yaml': 'listeners: []\n' })), [
    'artemis.yaml:1: listeners: an empty list should be a list of at least one listener'
  ])
  t.same(issuesOf(t.testdir({ 'artemis.yaml': '# nothing yet\nlog:\n#  level: debug\n' })), [])
  t.match(issuesOf(t.testdir({ 'artemis.yaml': 'data: a\n---\ndata: b\n' })), [/^artemis\.yaml:\d: invalid YAML: /])
  t.end()
})

t.test('names of Object.prototype are unknown keys', t => {
  const folder = t.testdir({ 'artemis.yaml': '__proto__:\n  data: x\nconstructor: 1\nlog:\n  toString: 1\n' })
  const issues = issuesOf(folder)
  t.equal(issues.length, 3)
  for (const issue of issues) t.match(issue, /unknown key/)
  t.end()
})

t.test('messages contain no secrets and no control characters', t => {
  const folder = t.testdir({
    'artemis.yaml':
      'pasword: hunter2\ntap:\n  target: ssh://root:hunter2@router/br-lan\nlog:\n  level: "\\e[2J\\u202einfo"\n'
  })
  const text = issuesOf(folder).join('\n')
  t.equal(issuesOf(folder).length, 3)
  t.notMatch(text, /hunter2/)

  t.notMatch(text, /[\u0000-\u0009\u000b-\u001f\u202e]/)
  t.end()
})

t.test('a missing file is an error if it is named, but not if it is the default', t => {
  const folder = t.testdir({})
  t.throws(() => readSettings({ config: 'other.yaml' }, folder), {
    code: 'config-file',
    message: /other\.yaml.*ENOENT/
  })
  t.doesNotThrow(() => readSettings({}, folder))
  t.end()
})

t.test('the example lists every setting with its default', t => {
  const folder = t.testdir({ empty: {}, full: { 'artemis.yaml': readFileSync(example, 'utf8') } })
  const defaults = readSettings({ data: path.join(folder, 'data') }, path.join(folder, 'empty'))
  const shown: EffectiveSettings = readSettings({ data: path.join(folder, 'data') }, path.join(folder, 'full'))
  t.same(shown.written, defaults.written)
  for (const key of keysOf(settingsSchema, '')) {
    if (key !== 'data') t.match(shown.sources.get(key), /^artemis\.yaml:\d+$/, key)
  }
  t.equal(readSettings({}, path.join(folder, 'full')).settings.data, path.join(folder, 'full/artemis-data'))
  t.end()
})

t.test('the example has a comment on every key', t => {
  const text = readFileSync(example, 'utf8')
  const lines = text.split('\n')
  const counter = new LineCounter()
  let keys = 0
  const visit = (node: Node | null): void => {
    if (isSeq(node)) for (const item of node.items) visit(item as Node)
    if (!isMap(node)) return
    for (const { key, value } of node.items) {
      if (!isScalar(key)) continue
      const { line } = counter.linePos(key.range?.[0] ?? 0)
      t.match(lines[line - 2], /^\s*# \S/, `line ${line}: ${String(key.value)}`)
      keys++
      visit(value as Node)
    }
  }
  visit(parseDocument(text, { lineCounter: counter }).contents)
  t.ok(keys > keysOf(settingsSchema, '').length, 'settings and their headings')
  t.end()
})

t.test('refuses two listeners on one port and reports both locations', t => {
  const folder = t.testdir({
    'artemis.yaml': [
      'listeners:',
      '  - port: 1884',
      '  - port: 0',
      '  - port: 1885',
      '    host: 0.0.0.0',
      '  - port: 1884',
      '    protocol: websockets',
      '  - port: 1885',
      '    host: 127.0.0.2',
      '  - port: 1885',
      '    host: "::1"',
      '  - port: 0',
      '  - host: localhost'
    ].join('\n'),
    'mosquitto.conf':
      'allow_anonymous true\nlistener 1883 127.0.0.1\nlistener 1884 127.0.0.1\nlistener 1883 127.0.0.1\nprotocol websockets\n',
    'other.yaml': 'sysInterval: 10s\n'
  })
  t.same(issuesOf(folder), [
    'artemis.yaml:6: listeners[3]: port 1884 on 127.0.0.1 is already used by listeners[0] (artemis.yaml:2); change one of the two',
    'artemis.yaml:8: listeners[4]: port 1885 on 127.0.0.2 is already used by listeners[2] (artemis.yaml:4); change one of the two'
  ])
  t.match(issuesOf(folder, { config: 'other.yaml', mosquitto: 'mosquitto.conf' }), [
    /^mosquitto\.conf:4: listeners\[2\]: port 1883 on 127\.0\.0\.1 is already used by listeners\[0\] \(mosquitto\.conf:2\)/
  ])
  t.same(issuesOf(t.testdir({ 'artemis.yaml': 'listeners:\n  - port: 1885\n  - port: 1883\n' }), { port: '1883' }), [
    'artemis.yaml:3: listeners[1]: port 1883 on 127.0.0.1 is already used by listeners[0] (artemis.yaml:2); change one of the two'
  ])
  t.end()
})
