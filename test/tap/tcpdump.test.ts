// The tcpdump command line and the interpretation of its output.

import t from 'tap'
import { captureFilter, captureScript, TcpdumpLog, type CaptureHost } from '../../src/tap/tcpdump.js'

const host: CaptureHost = { name: 'pi@gateway', interface: 'eth0', sudo: false }
const options = { ports: [1883, 8883], snapLength: 66 }

function log(text: string): TcpdumpLog {
  const written = new TcpdumpLog()
  written.append(Buffer.from(text))
  return written
}

t.test('builds the command', async t => {
  const script = captureScript(host, options)
  t.match(script, /tcpdump -i "eth0" -U -n -w - -s 66 --immediate-mode -B \d+ "tcp and \(port 1883 or port 8883\)" /)
  t.notMatch(script, 'sudo')
  t.match(captureScript({ ...host, sudo: true }, options), 'sudo -n tcpdump -i "eth0"')
  for (const text of [script, captureScript({ ...host, sudo: true }, options)]) {
    t.notMatch(text, /['\n]/, 'one quoted word on one line for any login shell')
    t.notMatch(text, /![^ ]/, 'no csh history expansion')
  }
  t.equal(captureFilter([1883]), 'tcp and (port 1883)')
})

t.test('accepts only valid names and numbers in the command', async t => {
  t.throws(() => captureScript({ ...host, interface: '$(reboot)' }, options), { code: 'tap-target' })
  t.throws(() => captureScript(host, { ...options, ports: [1.5] }), { code: 'tap-port' })
  t.throws(() => captureScript(host, { ...options, ports: [0] }), { code: 'tap-port' })
  t.throws(() => captureScript(host, { ...options, ports: [] }), { code: 'tap-port' }, 'an empty port list is rejected')
  t.throws(() => captureScript(host, { ...options, snapLength: NaN }), { code: 'tap-snap-length' })
})

t.test('detects that tcpdump is listening', async t => {
  const written = new TcpdumpLog()
  for (const piece of ['tcpdump: liste', 'ning ', 'on lo, link-type EN10MB (Ethernet), snapshot length 66 bytes\n']) {
    t.notOk(written.listening)
    written.append(Buffer.from(piece))
  }
  t.ok(written.listening)
})

t.test('reads the counts', async t => {
  t.same(
    log('tcpdump: listening on lo\n12 packets captured\n24 packets received by filter\n3 packets dropped by kernel\n')
      .summary,
    { captured: 12, dropped: 3 }
  )
  t.same(log('1 packet captured\n1 packet received by filter\n0 packets dropped by kernel\n').summary, {
    captured: 1,
    dropped: 0
  })
  t.same(log('tcpdump: listening on lo\n').summary, {})
})

const failures: [string, number | null, string][] = [
  ['sh: 1: tcpdump: not found\n', 127, 'tap-tcpdump-missing'],
  ['sudo: tcpdump: command not found\n', 1, 'tap-tcpdump-missing'],
  ['sh: 1: tcpdump: Permission denied\n', 126, 'tap-not-permitted'],
  [
    "tcpdump: eth0: You don't have permission to capture on that device\n(socket: Operation not permitted)\n",
    1,
    'tap-not-permitted'
  ],
  [
    "tcpdump: eth0: You don't have permission to perform this capture on that device\n(Attempt to create packet socket failed - CAP_NET_RAW may be required)\n",
    1,
    'tap-not-permitted'
  ],
  ['tcpdump: (cannot open BPF device) /dev/bpf0: Permission denied\n', 1, 'tap-not-permitted'],
  ['tcpdump: eth7: No such device exists\n(No such device exists)\n', 1, 'tap-interface'],
  ['tcpdump: eth0: That device is not up\n', 1, 'tap-interface'],
  ['sudo: unable to resolve host pi\ntcpdump: eth7: No such device exists\n', 1, 'tap-interface'],
  ['tcpdump: listening on eth0\ntcpdump: pcap_loop: The interface disappeared\n3 packets captured\n', 1, 'tap-ended'],
  ['', null, 'tap-ended']
]

for (const [text, exitCode, code] of failures) {
  t.test(`${exitCode}: ${text.trim()}`, async t => {
    const error = log(text).explain(host, exitCode)
    t.equal(error.code, code)
    t.match(error.message, 'pi@gateway', 'names the host')
    if (code !== 'tap-ended') t.ok(error.remedy, 'has a remedy')
  })
}

for (const text of [
  'sudo: a password is required\n',
  'sudo: interactive authentication is required\n',
  'pi is not in the sudoers file.\n',
  "Sorry, user pi is not allowed to execute '/usr/bin/tcpdump' as root on gateway.\n",
  'sh: 1: sudo: not found\n',
  'sh: line 1: sudo: command not found\n'
]) {
  t.test(`sudo: ${text.trim()}`, async t => {
    t.equal(log(text).explain({ ...host, sudo: true }, 1).code, 'tap-sudo')
  })
}

t.test('limits and sanitises quoted output of a remote host', async t => {
  const written = new TcpdumpLog()
  for (let i = 0; i < 100; i++) written.append(Buffer.alloc(65_536, 'x'))
  written.append(Buffer.from('\n\x1b[2Jowned\x07\n'))
  const { message } = written.explain(host, 1)
  t.ok(message.length < 400)
  t.match(message, '?[2Jowned?')
})
