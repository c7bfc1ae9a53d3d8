// npm run lab: a small capture, and cleanup, also after Ctrl-C.

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { createReadStream, existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readRecords } from '../../src/join/capture-records.js'
import { readLabels } from '../../broker/labels/labels.js'
import { networkMissing } from '../../bench/lab/network.js'
import { programMissing, skipReason } from '../support/programs.js'

const LAB = new URL('../../bench/lab/lab.js', import.meta.url).pathname
const reason = networkMissing()
const skip = programMissing('tcpdump') || programMissing('socat') || (reason === false ? false : skipReason(reason))

interface Run {
  child: ChildProcess
  /** Folder of unfinished captures. */
  temporary: string
  output: string
  ended: Promise<unknown>
}

function lab(temporary: string, ...flags: string[]): Run {
  const child = spawn(process.execPath, [LAB, ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TMPDIR: temporary }
  })
  const run: Run = { child, temporary, output: '', ended: once(child, 'exit') }
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      run.output += chunk.toString()
    })
  return run
}

/** Allows a minute: building a network is slow on a busy machine. */
async function waitFor(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 60_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within a minute: ${what}`)
    await pause(20)
  }
}

/** Returns the namespaces of a process. */
function namespaces(pid: number | undefined): string[] {
  return existsSync('/run/netns') ? readdirSync('/run/netns').filter(name => name.startsWith(`artemis-${pid}-`)) : []
}

t.test('a capture of will abuse, labelled by address and by message', { skip }, async t => {
  const folder = t.testdir({ out: {}, tmp: {} })
  const run = lab(
    join(folder, 'tmp'),
    '--attack',
    'will-abuse',
    '--minutes',
    '0.2',
    '--seed',
    '5',
    '--records',
    '--out',
    join(folder, 'out')
  )
  await run.ended
  t.equal(run.child.exitCode, 0, run.output)
  const file = (suffix: string): string => join(folder, 'out', `will-abuse-s5.${suffix}`)
  const figures = JSON.parse(readFileSync(file('json'), 'utf8')) as Record<string, number>
  t.ok(figures.devices >= 60)
  t.ok(figures.newcomers >= figures.attackers && figures.attackers >= 3)
  t.equal(figures.dropped, 0)
  t.equal(figures.lostStreams, 0)
  t.ok(figures.attack > figures.forwarded && figures.forwarded > 0, 'the broker forwards wills')

  const parties = new Map(
    readFileSync(file('parties.csv'), 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map(line => [line.split(',')[0], line.split(',')[1]])
  )
  const [labels, byAddress, newcomers] = await Promise.all(
    ['labels.csv', 'by-address.csv', 'newcomers.csv'].map(async name => await readLabels(file(name), ['one']))
  )
  let [records, attacks, causedFrames, wrong, ofNewcomers, oversized] = [0, 0, 0, 0, 0, 0]
  for await (const some of readRecords(createReadStream(file('pcap')), { ports: [1883, 8883, 9001] })) {
    for (const record of some) {
      const role = parties.get(record.peer.client.address)
      const label = labels.of(record)
      records++
      if (label !== null) attacks++
      if (role === 'attacker' ? label !== 'will-abuse' : label !== null && byAddress.of(record) !== null) wrong++
      if (role !== 'attacker' && label !== null) causedFrames++
      if ((newcomers.of(record) !== null) !== (role === 'newcomer')) wrong++
      if (role === 'newcomer') ofNewcomers++
      if ((record.features.packet_length ?? 0) > 1_514) oversized++
    }
  }
  t.equal(records, figures.frames, 'all captured frames are to or from the broker')
  t.equal(attacks, figures.attack)
  t.equal(causedFrames, figures.forwarded + figures.answers)
  t.equal(wrong, 0)
  t.equal(ofNewcomers, figures.newcomer)
  t.ok(ofNewcomers > 0)
  t.equal(oversized, 0, 'no frame exceeds the MTU')
  const recorded = readFileSync(file('records.labels.csv'), 'utf8')
    .split('\n')
    .filter(line => line.endsWith(',will-abuse')).length
  t.ok(
    Math.abs(recorded - attacks) <= attacks / 50,
    `attack records of the broker are labelled: ${recorded} of ${attacks}`
  )
  t.same(readdirSync(run.temporary), [], 'no temporary files are left')
  t.same(namespaces(run.child.pid), [], 'no namespaces are left')
})

t.test('Ctrl-C leaves nothing behind', { skip }, async t => {
  const folder = t.testdir({ out: {}, tmp: {} })
  const run = lab(join(folder, 'tmp'), '--attack', 'malaria', '--out', join(folder, 'out'))
  await waitFor('the capture runs', () =>
    readdirSync(run.temporary).some(name => existsSync(join(run.temporary, name, 'malaria-s1.devices-air.csv')))
  )
  t.ok(namespaces(run.child.pid).length > 0)
  run.child.kill('SIGINT')
  await run.ended
  t.equal(run.child.exitCode, 1)
  t.match(run.output, /Interrupted/)
  t.same(readdirSync(run.temporary), [])
  t.same(readdirSync(join(folder, 'out')), [])
  t.same(namespaces(run.child.pid), [])
})

t.test('invalid arguments give a clear message', async t => {
  const folder = t.testdir({ tmp: {} })
  for (const [flags, message] of [
    [['--attack', 'nothing'], /Unknown attack "nothing"/],
    [['--attack', 'none', '--minutes', '0'], /Invalid --minutes "0": use a number from 0.2 to 60/],
    [['--attack', 'none', '--seed', '1.5'], /Invalid --seed "1.5": use a whole number/],
    [['--atack', 'none'], /--atack/],
    [[], /npm run lab -- --attack/]
  ] as const) {
    const run = lab(folder, ...flags)
    await run.ended
    t.equal(run.child.exitCode, 1)
    t.match(run.output, message)
    t.notMatch(run.output, /\bat .*\.js:/, 'without a stack trace')
  }
  const listed = lab(folder, '--list')
  await listed.ended
  t.match(listed.output, /malaria-json/)
  t.match(listed.output, /dht11/)
})
