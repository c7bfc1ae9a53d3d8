// Translation of mosquitto.conf to artemis.yaml: listeners, authentication, limits, and notes on differences.

import path from 'node:path'
import t, { type Test } from 'tap'
import { OperatorError } from '../../../src/errors.js'
import { readSettings, type EffectiveSettings } from '../../../broker/config/settings.js'
import { translate, type Translation } from '../../../broker/mosquitto/translation.js'
import type { HostNetwork } from '../../../broker/mosquitto/drafts.js'

const MACHINE: HostNetwork = {
  hasIpv6: true,
  addressesOf: name => (name === 'eth0' ? ['192.0.2.7', '2001:db8::7'] : [])
}

type Listener = Record<string, unknown>

function read(
  t: Test,
  conf: string,
  files: Record<string, string> = {},
  machine = MACHINE
): Translation & { listeners: Listener[]; folder: string } {
  const folder = t.testdir({ 'mosquitto.conf': conf, 'conf.d': files })
  const translation = translate(path.join(folder, 'mosquitto.conf'), folder, machine)
  return { ...translation, listeners: translation.values.listeners as Listener[], folder }
}

/** Returns the listeners of a configuration without errors, as `host:port`. */
function ports(t: Test, conf: string, files?: Record<string, string>, machine?: HostNetwork): string[] {
  const { listeners, issues } = read(t, conf, files, machine)
  t.same(issues, [])
  return listeners.map(({ host, port }) => `${String(host)}:${String(port)}`)
}

function issues(t: Test, conf: string, files?: Record<string, string>): string[] {
  return read(t, conf, files).issues.map(({ place, key, problem }) => [place, key, problem].join(': '))
}

t.test('translates listeners', t => {
  t.same(ports(t, ''), ['127.0.0.1:1883', '::1:1883'], 'without directives, only this machine')
  t.same(ports(t, 'persistence true\npassword_file /x\n'), ['127.0.0.1:1883', '::1:1883'])
  t.same(ports(t, '', {}, { ...MACHINE, hasIpv6: false }), ['127.0.0.1:1883'])
  t.same(ports(t, 'listener 1884\n'), [':::1884'])
  t.same(ports(t, 'listener 1884\n', {}, { ...MACHINE, hasIpv6: false }), ['0.0.0.0:1884'])
  t.same(ports(t, 'listener 1884 192.0.2.1\nlistener 1885 localhost # here\n'), ['192.0.2.1:1884', 'localhost:1885'])
  t.same(ports(t, 'port 1884\n'), [':::1884'])
  t.same(ports(t, 'bind_address 192.0.2.1\n'), ['192.0.2.1:1883'])
  t.same(ports(t, 'bind_address 192.0.2.1\nport 1884\nport 1886\nlistener 1885\n'), [':::1885', '192.0.2.1:1886'])
  t.same(ports(t, 'listener 1884\nsocket_domain ipv4\n'), ['0.0.0.0:1884'])
  t.same(ports(t, 'listener 1884\nbind_interface eth0\n'), ['192.0.2.7:1884', '2001:db8::7:1884'])
  t.same(ports(t, 'listener 1884\nbind_interface eth0\nsocket_domain ipv6\n'), ['2001:db8::7:1884'])
  t.end()
})

t.test('a listener directive before the first listener opens the default one, as in mosquitto', t => {
  for (const line of [
    'max_connections 5',
    'protocol websockets',
    'certfile /c\nkeyfile /k',
    'require_certificate true',
    'socket_domain ipv6'
  ]) {
    t.same(ports(t, `${line}\nlistener 1884\n`), [':::1884', ':::1883'], line)
  }
  for (const line of [
    'protocol mqtt',
    'allow_anonymous true',
    'acl_file /x',
    'max_topic_alias 5',
    'use_identity_as_username false'
  ]) {
    t.same(ports(t, `${line}\nlistener 1884\n`), [':::1884'], line)
  }
  t.same(ports(t, 'per_listener_settings true\npassword_file /x\nlistener 1884\n'), [':::1884', ':::1883'])
  t.same(ports(t, 'per_listener_settings true\nacl_file /x\nlistener 1884\n'), [':::1884'])
  t.same(
    ports(t, 'listener 1884\ninclude_dir conf.d\n', { 'a.conf': 'protocol websockets\n' }),
    [':::1884', ':::1883'],
    'listeners of other files do not apply'
  )
  t.end()
})

t.test('translates authentication', t => {
  const auth = (conf: string): unknown => read(t, conf).values.auth
  t.same(auth(''), { allowAnonymous: true })
  t.same(auth('password_file /p\n'), { allowAnonymous: true, passwordFile: '/p' })
  t.same(auth('listener 1884\n'), { allowAnonymous: false })
  t.same(auth('listener 1884\nallow_anonymous true\nacl_file /a\n'), { allowAnonymous: true, aclFile: '/a' })
  t.same(
    auth('listener 1884\nallow_anonymous true\nplugin /x.so\n'),
    { allowAnonymous: false },
    'a plug-in may have refused anonymous clients'
  )
  const { values, listeners } = read(
    t,
    'per_listener_settings true\nlistener 1\nallow_anonymous true\nlistener 2\npassword_file p\nacl_file /a\n'
  )
  t.equal(values.auth, undefined)
  t.match(listeners, [
    { allowAnonymous: true, passwordFile: undefined },
    { allowAnonymous: false, passwordFile: /\/p$/, aclFile: '/a' }
  ])
  t.end()
})

t.test('translates the settings of each listener', t => {
  const { listeners, places, notes, issues } = read(
    t,
    [
      'listener 8883',
      'certfile /c',
      'keyfile /k',
      'cafile /a',
      'require_certificate true',
      'use_identity_as_username true',
      'max_connections 7',
      'listener 9001',
      'protocol websockets',
      'websockets_origin https://a.example',
      'websockets_origin https://b.example',
      'max_connections -1'
    ].join('\n')
  )
  t.same([notes, issues], [[], []])
  t.same(listeners, [
    {
      host: '::',
      port: 8883,
      tls: { cert: '/c', key: '/k', ca: '/a', requireClientCertificate: true, identityAsUsername: true },
      maxConnections: 7
    },
    {
      host: '::',
      port: 9001,
      protocol: 'websockets',
      origins: ['https://a.example', 'https://b.example'],
      maxConnections: null
    }
  ])
  t.equal(places.get('listeners[0].tls.ca'), 'mosquitto.conf:4')
  t.equal(places.get('listeners[1].port'), 'mosquitto.conf:8')
  t.end()
})

t.test('translates limits, files and the log', t => {
  const { values, issues, notes } = read(
    t,
    [
      'max_packet_size 2000',
      'message_size_limit 1000',
      'max_keepalive 100',
      'max_inflight_messages 0',
      'max_queued_messages 50',
      'max_queued_bytes 4096',
      'sys_interval 0',
      'persistence true',
      'persistence_location /var/lib/mosquitto/',
      'pid_file /run/m.pid',
      'log_dest file /var/log/m.log',
      'log_type error',
      'log_type warning'
    ].join('\n')
  )
  t.same(issues, [])
  t.match(values, {
    limits: {
      packetSize: '2000B',
      messageSize: '1000B',
      keepalive: '100s',
      inflightMessages: null,
      queuedMessages: 50,
      queuedBytes: '4096B'
    },
    sysInterval: '0s',
    persistence: true,
    data: '/var/lib/mosquitto/artemis',
    pidFile: '/run/m.pid',
    log: { file: '/var/log/m.log', level: 'warn' }
  })
  t.same(
    notes.map(({ name }) => name),
    ['message_size_limit', 'max_keepalive']
  )
  t.same(read(t, 'max_inflight_messages 20\n').notes, [], 'max_inflight_messages is followed')
  t.equal(read(t, 'listener 1\n').values.persistence, false, 'off by default, as in mosquitto')
  t.match(read(t, 'log_dest none\nlog_type all\n').values, { log: { level: 'silent' } })
  t.match(read(t, 'log_type information\nlog_type debug\n').values, { log: { level: 'debug' } })
  t.end()
})

t.test("includes files in mosquitto's order", t => {
  const names = ['b', 'A', '01', 'a', 'B', '00', 'a_b', 'aB', 'Ab']
  const files = Object.fromEntries(names.map((name, i) => [`${name}.conf`, `listener ${100 + i}\n`]))
  const { listeners } = read(t, 'include_dir conf.d\n', { ...files, README: 'nonsense', 'x.conf~': 'nonsense' })
  t.same(
    listeners.map(({ port }) => names[Number(port) - 100]),
    ['00', '01', 'A', 'Ab', 'a', 'aB', 'a_b', 'B', 'b']
  )
  t.end()
})

t.test('notes differences with their locations, and only these', t => {
  const conf = [
    'listener 1884',
    'allow_anonymous true',
    'retain_available true',
    'queue_qos0_messages false',
    'max_qos 2',
    'log_timestamp true',
    'queue_qos0_messages true',
    'connection cloud',
    'address 192.0.2.1',
    'topic # both',
    'remote_password hunter2',
    'connection other',
    'address x'
  ].join('\n')
  const { notes, issues } = read(t, conf)
  t.same(issues, [])
  t.same(
    notes.map(({ place, name, support }) => `${place} ${name} ${support}`),
    [
      'mosquitto.conf:6 log_timestamp not needed',
      'mosquitto.conf:7 queue_qos0_messages not followed',
      'mosquitto.conf:8 connection not followed',
      'mosquitto.conf:12 connection not followed'
    ]
  )
  t.match(notes[2]?.text, /"cloud"/)
  t.notMatch(JSON.stringify(notes), /hunter2/)
  t.end()
})

t.test('does not open a listener that would allow more access', t => {
  const unsafe = [
    'mount_point x/',
    'psk_hint x',
    'use_username_as_clientid true',
    'use_subject_as_username true',
    'crlfile /x',
    'capath /x\nrequire_certificate true'
  ]
  for (const line of unsafe) {
    const { listeners, notes } = read(t, `listener 1884\nallow_anonymous true\nlistener 1885\n${line}\n`)
    t.same(
      listeners.map(({ port }) => port),
      [1884],
      line
    )
    t.ok(
      notes.some(({ name, text }) => name === 'listener' && text.includes('Port 1885 is not opened')),
      line
    )
  }
  t.same(ports(t, 'listener 1884\nlistener 0 /run/m.sock\n'), [':::1884'])
  t.match(issues(t, 'listener 1884\npsk_hint x\n'), [/mosquitto\.conf: : no listener can be opened.*psk_hint/s])
  t.match(issues(t, 'listener 1884\nclientid_prefixes secure-\n'), [
    /mosquitto\.conf:2: clientid_prefixes: not supported/
  ])
  t.end()
})

t.test('reports all errors at once with their locations', t => {
  t.same(
    issues(
      t,
      [
        'listener 0',
        'listener 70000',
        'allow_anonymus true',
        'allow_anonymous yes',
        'max_keepalive 5',
        'protocol mqtts',
        'listener\t1883',
        ' # indented',
        'max_packet_size 10',
        'log_dest nowhere',
        'log_dest file',
        'log_type loud',
        'password_file /a',
        'password_file /b',
        'include_dir nowhere',
        'topic x',
        'bind_interface wlan9',
        'allow_anonymous',
        'max_connections 5 6',
        'per_listener_settings true',
        'socket_domain ipv5',
        'persistent_client_expiration 3'
      ].join('\n')
    )
      .map(text => text.replace('mosquitto.conf:', '').split(':')[0])
      .map(Number)
      .sort((a, b) => a - b),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 22]
  )
  t.match(issues(t, 'allow_anonymus true\n'), [/did you mean allow_anonymous\?/])
  t.notMatch(issues(t, 'pasword_file hunter2\n').join(), /hunter2/)
  t.match(issues(t, 'include_dir conf.d\n', { 'a.conf': '\nnonsense 1\n' }), [/conf\.d\/a\.conf:2: /])
  t.end()
})

t.test('artemis.yaml overrides mosquitto.conf; listeners may be in only one of them', t => {
  const conf = 'listener 1884 127.0.0.1\nallow_anonymous true\nmax_packet_size 5000\npersistence true\n'
  const settingsOf = (yaml: string, flags = {}): EffectiveSettings =>
    readSettings(flags, t.testdir({ 'artemis.yaml': yaml, 'mosquitto.conf': conf }))
  const both = settingsOf('mosquitto: mosquitto.conf\nlimits:\n  packetSize: 1KiB\nresponse:\n  action: ban\n')
  t.match(both.settings, {
    listeners: [{ host: '127.0.0.1', port: 1884 }],
    auth: { allowAnonymous: true },
    limits: { packetSize: 1024 },
    response: { action: 'ban' },
    persistence: true
  })
  t.equal(both.sources.get('limits.packetSize'), 'artemis.yaml:3')
  t.equal(both.sources.get('listeners[0].port'), 'mosquitto.conf:1')
  t.equal(both.sources.get('persistence'), 'mosquitto.conf:4')
  t.match(settingsOf('', { mosquitto: 'mosquitto.conf', port: '1999' }).settings, {
    listeners: [{ port: 1999 }],
    limits: { packetSize: 5000 }
  })
  t.throws(() => settingsOf('mosquitto: mosquitto.conf\nlisteners:\n  - port: 1\n'), {
    message: /artemis\.yaml:2: listeners: .*keep one of the two/
  })
  t.throws(() => settingsOf('mosquitto: none.conf\n'), { code: 'mosquitto-file' })
  t.end()
})

t.test('refuses a certificate without its key, and a key without its certificate', t => {
  t.same(issues(t, 'listener 8883\ncertfile /c\n'), ['mosquitto.conf:2: certfile: keyfile is missing'])
  t.same(issues(t, 'listener 8883\nkeyfile /k\n'), ['mosquitto.conf:2: keyfile: certfile is missing'])
  const folder = t.testdir({ 'mosquitto.conf': 'listener 8883\ncertfile /c\n' })
  t.throws(() => readSettings({ mosquitto: 'mosquitto.conf' }, folder), {
    code: 'config',
    remedy: /docs\/mosquitto\.md/
  })
  t.end()
})

t.test('reports the location of a value that only the rules of artemis.yaml refuse', t => {
  const folder = t.testdir({ 'mosquitto.conf': 'listener 1883 a!b\n' })
  t.throws(() => readSettings({ mosquitto: 'mosquitto.conf' }, folder), {
    message: /mosquitto\.conf:1: listeners\[0\]\.host: "a!b"/
  })
  t.throws(() => readSettings({ mosquitto: 'nowhere.conf' }, folder), OperatorError)
  t.end()
})
