// The tap of a running broker: frames in their streams, failure and recovery, stop. A script replaces tcpdump.

import { chmodSync, existsSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import t, { type Test } from 'tap'
import { LiveTap, type LiveTapSettings } from '../../src/tap/live.js'
import type { StreamFrame } from '../../src/types.js'
import { pcapFile, Talk } from '../decode/craft.js'
import { connect } from '../decode/craft-mqtt.js'
import { waitUntil } from '../support/wait-until.js'

/** Writes the file next to it, then waits until it is stopped. */
const FAKE_TCPDUMP = `#!/bin/sh
cd "$(dirname "$0")"
echo start >>starts
while [ -e wait ]; do sleep 0.01; done
echo "tcpdump: listening on lo" >&2
cat bytes
exec sleep 60
`

function captureOf(talk: Talk): Buffer {
  talk.open().send('in', connect())
  return pcapFile(talk.frames)
}

function tapOf(t: Test, bytes: Buffer, settings: Partial<LiveTapSettings> = {}) {
  const folder = t.testdir({ tcpdump: FAKE_TCPDUMP })
  chmodSync(join(folder, 'tcpdump'), 0o755)
  const play = (played: Buffer): void => {
    writeFileSync(join(folder, 'bytes'), played)
  }
  play(bytes)
  const path = process.env.PATH ?? ''
  process.env.PATH = folder + delimiter + path
  const seen = {
    frames: [] as StreamFrame[],
    chunks: 0,
    ups: 0,
    downs: 0,
    lines: [] as string[],
    remedies: [] as unknown[]
  }
  const tap = new LiveTap({ target: 'local:lo', snapLength: 0, ...settings }, [1883], {
    onUp: () => {
      seen.ups++
    },
    onFrame: frame => {
      seen.frames.push(frame)
    },
    onChunk: () => {
      seen.chunks++
    },
    onDown: () => {
      seen.downs++
    },
    onLog: (level, message, details) => {
      seen.lines.push(`${level} ${message}`)
      seen.remedies.push((details as { remedy?: string } | undefined)?.remedy)
    }
  })
  t.teardown(async () => {
    await tap.stop()
    process.env.PATH = path
  })
  return {
    tap,
    seen,
    play,
    starts: () => readFileSync(join(folder, 'starts'), 'utf8').split('\n').length - 1,
    folder,
    status: () => tap.status()
  }
}

t.test('assigns frames to their streams', async t => {
  const { tap, seen, status } = tapOf(t, captureOf(new Talk()))
  t.match(status(), { target: 'none', state: 'none', sessions: 0 })
  await tap.start()
  await waitUntil('the frames', () => seen.frames.length === 4)
  t.ok(seen.ups === 1 && seen.chunks > 0)
  const [{ stream }] = seen.frames
  t.ok(seen.frames.every(frame => frame.stream === stream))
  t.same(stream.synced, { in: true, out: true })
  t.match(seen.frames[3], { from: 0, to: connect().length, frame: { number: 4, payload: connect() } })
  t.match(status(), { target: 'local:lo', state: 'up', sessions: 1, frames: 4 })
})

t.test('discards payload captured with the headers', async t => {
  const { tap, seen } = tapOf(t, captureOf(new Talk()), { snapLength: 96 })
  await tap.start()
  await waitUntil('the frames', () => seen.frames.length === 4)
  t.match(seen.frames[3], {
    from: 0,
    to: connect().length,
    frame: { payload: new Uint8Array(0) },
    chunks: [{ length: connect().length, bytes: null }]
  })
})

t.test('invalid capture data takes the tap down without an exception, and the tap is reopened', async t => {
  const { tap, seen, play, status } = tapOf(t, Buffer.from('Welcome to this machine!\n'))
  await tap.start()
  await waitUntil('it is down', () => seen.downs === 1)
  t.match(status(), { state: 'down', reason: /not a capture/ })
  t.ok(seen.lines.some(line => line.startsWith('warn tap local:lo is down')))
  play(captureOf(new Talk()))
  await waitUntil('it is up again', () => seen.frames.length === 4)
  t.match(status(), { state: 'up', sessions: 2, reason: undefined })
  t.equal(seen.frames[0].stream.id, 0, 'each capture starts with new streams')
})

t.test('does not open a tap that is stopped while "auto" is resolved', async t => {
  const { tap, seen, folder, starts, status } = tapOf(t, captureOf(new Talk()), { target: 'auto' })
  writeFileSync(join(folder, 'wait'), '')
  const started = tap.start()
  await waitUntil('it tries', () => existsSync(join(folder, 'starts')))
  const stopped = tap.stop()
  unlinkSync(join(folder, 'wait'))
  await Promise.all([started, stopped])
  t.equal(starts(), 1, 'only the trial capture')
  t.equal(seen.ups, 0)
  t.match(status(), { state: 'none' })
})

t.test('rejects invalid targets', async t => {
  for (const target of ['file:capture.pcap', 'carrier-pigeon', 'ssh://']) {
    const { tap } = tapOf(t, Buffer.alloc(0), { target })
    await t.rejects(tap.start(), { name: 'OperatorError', code: 'tap-target' }, target)
  }
})
