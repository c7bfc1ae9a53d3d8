// Valid and invalid tap targets.

import t from 'tap'
import { homedir } from 'node:os'
import { OperatorError } from '../../src/errors.js'
import { formatTarget, parseTarget, type TapTarget } from '../../src/tap/target.js'

const right: [string, TapTarget][] = [
  ['ssh://pi@gateway/eth0', { kind: 'ssh', user: 'pi', host: 'gateway', port: 22, interface: 'eth0' }],
  ['ssh://pi@192.0.2.7:2222/wlan0', { kind: 'ssh', user: 'pi', host: '192.0.2.7', port: 2222, interface: 'wlan0' }],
  [
    'ssh://a_b.c-d@[2001:db8::1]:2222/br-1a2b',
    { kind: 'ssh', user: 'a_b.c-d', host: '2001:db8::1', port: 2222, interface: 'br-1a2b' }
  ],
  ['ssh://pi@[::1]/eth0.100', { kind: 'ssh', user: 'pi', host: '::1', port: 22, interface: 'eth0.100' }],
  ['local:any', { kind: 'local', interface: 'any' }],
  ['file:captures/a b.pcap', { kind: 'file', path: 'captures/a b.pcap' }],
  ['none', { kind: 'none' }],
  ['auto', { kind: 'auto' }]
]

for (const [text, target] of right) {
  t.test(text, async t => {
    t.same(parseTarget(text), target)
    t.equal(formatTarget(target), text, 'and back')
  })
}

t.test('expands the home directory in a path', async t => {
  t.same(parseTarget('file:~/a.pcap'), { kind: 'file', path: `${homedir()}/a.pcap` })
})

const wrong: [string, RegExp, RegExp][] = [
  ['', /unknown type/, /ssh:\/\/user@host\[:port\]\/interface, local:interface, file:PATH, none or auto/],
  ['eth0', /unknown type/, /local:interface/],
  ['NONE', /unknown type/, /none or auto/],
  ['local:', /interface is missing/, /eth0/],
  ['local:-w', /"-w" is not a valid interface name/, /starts with a letter or digit/],
  ['local:lo;reboot', /not a valid interface name/, /letters, digits/],
  ['local:$(reboot)', /not a valid interface name/, /letters, digits/],
  ['local:lo"', /not a valid interface name/, /letters, digits/],
  ["local:lo'", /not a valid interface name/, /letters, digits/],
  ['local:lo\nreboot', /not a valid interface name/, /letters, digits/],
  ['local:lo ', /not a valid interface name/, /letters, digits/],
  [`local:${'a'.repeat(33)}`, /not a valid interface name/, /up to 32/],
  ['file:', /path is missing/, /file:capture.pcap/],
  ['ssh:pi@gateway/eth0', /expected ssh:/, /ssh:\/\/user@host/],
  ['ssh://gateway/eth0', /user is missing/, /ssh:\/\/user@host/],
  ['ssh://pi@/eth0', /host is missing/, /ssh:\/\/user@host/],
  ['ssh://pi@gateway', /interface is missing/, /eth0/],
  ['ssh://pi@gateway/', /interface is missing/, /eth0/],
  ['ssh://pi@gateway/eth0/x', /not a valid interface name/, /letters, digits/],
  ['ssh://-oProxyCommand=x@gateway/eth0', /not a valid user name/, /ssh:\/\/user@host/],
  ['ssh://pi@-gateway/eth0', /not a valid host name/, /ssh:\/\/user@host/],
  ['ssh://pi@gate way/eth0', /not a valid host name/, /ssh:\/\/user@host/],
  ['ssh://pi@[gateway]/eth0', /not a valid host name/, /ssh:\/\/user@host/],
  ['ssh://pi@gateway:/eth0', /not a valid port/, /1 to 65535/],
  ['ssh://pi@gateway:0/eth0', /not a valid port/, /1 to 65535/],
  ['ssh://pi@gateway:65536/eth0', /not a valid port/, /1 to 65535/],
  ['ssh://pi@gateway:0x16/eth0', /not a valid port/, /1 to 65535/]
]

for (const [text, message, remedy] of wrong) {
  t.test(`rejects ${JSON.stringify(text)}`, async t => {
    t.throws(() => parseTarget(text), { name: 'OperatorError', code: 'tap-target', message, remedy })
  })
}

t.test('rejects a password without repeating it', async t => {
  try {
    parseTarget('ssh://pi:raspberry@gateway/eth0')
    t.fail('was taken')
  } catch (error) {
    t.ok(error instanceof OperatorError)
    t.match(error, { code: 'tap-target', remedy: /--identity/ })
    t.notMatch(String(error) + String((error as OperatorError).remedy), 'raspberry')
  }
})
