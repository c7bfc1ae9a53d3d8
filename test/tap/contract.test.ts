// Contract of every tap: it opens, delivers a capture of later traffic, and leaves no process running.

import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openTap, type TapSettings } from '../../src/tap/catalog.js'
import { PcapRecords } from '../../src/tap/pcap-records.js'
import type { CaptureTarget } from '../../src/tap/target.js'
import { findProgram, programMissing } from '../support/programs.js'
import { startSshd } from '../support/sshd.js'
import { captureImpossible, collect, loopback, startTraffic, tcpdumpsOn, waitUntil, type Traffic } from './traffic.js'

/** A tap under test. */
interface Subject {
  name: string
  skip: string | false
  /** Creates a tap of this kind that captures `traffic`, or has recorded it. */
  prepare(t: Test, traffic: Traffic): Promise<{ target: CaptureTarget; settings: TapSettings; recorded?: string }>
}

const subjects: Subject[] = [
  {
    name: 'local',
    skip: captureImpossible(),
    prepare: async () => ({ target: { kind: 'local', interface: loopback() }, settings: {} })
  },
  {
    name: 'ssh',
    skip: captureImpossible() || programMissing('sshd') || programMissing('ssh-keygen'),
    prepare: prepareSsh
  },
  { name: 'file', skip: captureImpossible(), prepare: prepareFile }
]

async function prepareSsh(t: Test): ReturnType<Subject['prepare']> {
  const { user, host, port, identityFile, knownHostsFile, stop } = await startSshd(t.testdir())
  t.teardown(stop)
  return {
    target: { kind: 'ssh', user, host, port, interface: loopback() },
    settings: { identityFile, knownHostsFile }
  }
}

async function prepareFile(t: Test, traffic: Traffic): ReturnType<Subject['prepare']> {
  const path = join(t.testdir(), 'capture.pcap')
  const recorded = 'recorded before'
  const session = await openTap({ kind: 'local', interface: loopback() }, {}, { ports: [traffic.port], snapLength: 0 })
  const seen = collect(session.bytes)
  await traffic.send(recorded)
  await waitUntil('the recording has the text', () => seen.text().includes(recorded))
  await session.close()
  await seen.ended
  writeFileSync(path, seen.bytes())
  return { target: { kind: 'file', path }, settings: {}, recorded }
}

for (const { name, skip, prepare } of subjects) {
  t.test(name, { skip }, async t => {
    const traffic = await startTraffic()
    t.teardown(traffic.stop)
    const { target, settings, recorded } = await prepare(t, traffic)
    const options = { ports: [traffic.port], snapLength: 0 }

    t.test('delivers a capture of the traffic that tcpdump can read', async t => {
      const session = await openTap(target, settings, options)
      const seen = collect(session.bytes)
      if (recorded === undefined) await traffic.send('said after open')
      const text = recorded ?? 'said after open'
      await waitUntil('the capture has the text', () => seen.text().includes(text))
      const summary = await session.close()
      await seen.ended.catch(() => {})
      const path = join(t.testdir(), 'seen.pcap')
      writeFileSync(path, seen.bytes())
      const lines = execFileSync(findProgram('tcpdump'), ['-n', '-r', path], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore']
      })
        .trim()
        .split('\n')
      t.ok(lines.length >= 8, 'handshake, data both ways and close are at least eight frames')
      t.ok(
        lines.every(line => line.includes(`.${traffic.port}`)),
        'only the requested port'
      )
      if (target.kind !== 'file')
        t.match(summary, { captured: lines.length, dropped: 0 }, 'the counts match those of tcpdump')
    })

    t.test(
      'keeps no more of a frame than the snap length',
      { skip: target.kind === 'file' && 'a file is not truncated' },
      async t => {
        const session = await openTap(target, settings, { ...options, snapLength: 66 })
        const seen = collect(session.bytes)
        await traffic.send('a secret word')
        await waitUntil('frames came', () => seen.bytes().length >= 24 + 8 * (16 + 54))
        await session.close()
        await seen.ended
        t.notMatch(seen.text(), 'secret word')
        t.equal(seen.bytes().readUInt32LE(16), 66, 'also in the file header')
      }
    )

    t.test('a slow reader receives all captured frames', async t => {
      const session = await openTap(target, settings, options)
      const chunks = session.bytes[Symbol.asyncIterator]() as AsyncIterator<Buffer>
      const records = new PcapRecords()
      const first = await chunks.next()
      if (first.done !== true) records.push(first.value)
      for (let i = 0; i < 20; i++) await traffic.send('x'.repeat(10_000))
      const { captured } = await session.close()
      for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) records.push(next.value)
      t.ok(records.count >= 8)
      // A tcpdump that is stopped while it waits for a full pipe truncates the frame it writes.
      if (captured !== undefined) t.ok(captured - records.count <= 1, `${records.count} of ${captured} frames`)
    })

    t.test('can be closed twice without being read, and leaves no process', async t => {
      const session = await openTap(target, settings, options)
      const [first, second] = await Promise.all([session.close(), session.close()])
      t.same(first, second)
      t.same(await session.close(), first, 'and once more when it is closed')
      t.same(tcpdumpsOn(traffic.port), [])
    })

    t.test('ends when its reader is destroyed', async t => {
      const session = await openTap(target, settings, options)
      for await (const chunk of session.bytes) {
        t.ok(chunk.length > 0)
        break
      }
      await session.close()
      t.same(tcpdumpsOn(traffic.port), [])
    })

    t.test('stops opening when the signal is aborted', async t => {
      const reason = new Error('told to')
      await t.rejects(openTap(target, settings, { ...options, signal: AbortSignal.abort(reason) }), reason)
      const aborter = new AbortController()
      const opening = openTap(target, settings, { ...options, signal: aborter.signal })
      const live = target.kind !== 'file' && process.platform === 'linux'
      if (live) await waitUntil('tcpdump starts', () => tcpdumpsOn(traffic.port).length > 0)
      aborter.abort(reason)
      // Either may be faster; in both cases no process may be left.
      await opening.then(
        async session => {
          await session.close()
        },
        (error: unknown) => {
          t.equal(error, reason)
        }
      )
      t.same(tcpdumpsOn(traffic.port), [])
    })
  })
}
