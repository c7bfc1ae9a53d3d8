// artemis extract: input files, output formats, signals and errors.
import { spawn } from 'node:child_process'
import type { ChildProcess, ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, readdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text as readText } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { extractCommand } from '../../../broker/commands/extract.js'
import { Interruption } from '../../../broker/process/interruption.js'
import { runArtemis } from '../../support/artemis.js'
import { findProgram, programMissing } from '../../support/programs.js'
import { waitUntil } from '../../support/wait-until.js'
import { Talk, pcapFile } from '../../decode/craft.js'
import { PINGREQ, connect, publish } from '../../decode/craft-mqtt.js'

const PROGRAM = fileURLToPath(new URL('../../../broker/main.js', import.meta.url))
const MODULE = new URL('../../../broker/commands/extract.js', import.meta.url).href
const SCRIPT = `import { extractCommand } from '${MODULE}'; await extractCommand().parseAsync(process.argv.slice(1), { from: 'user' })`

const talk = new Talk().open()
talk.send('in', connect())
talk.send('in', publish('t', 'hello'))
talk.send('in', PINGREQ)
const capture = pcapFile(talk.frames)

function start(...args: string[]): ChildProcessWithoutNullStreams {
  const child = spawn(process.execPath, ['--input-type=module', '-e', SCRIPT, '--', ...args], {
    stdio: ['pipe', 'pipe', 'pipe']
  })
  // The child may exit before it has read everything.
  child.stdin.on('error', () => {})
  return child
}

async function closed(child: ChildProcess): Promise<number | null> {
  const [code] = (await once(child, 'close')) as [number | null]
  return code
}

async function run(args: string[], input?: Buffer): Promise<{ code: number | null; out: string; err: string }> {
  const child = start(...args)
  child.stdin.end(input)
  const [out, err, code] = await Promise.all([readText(child.stdout), readText(child.stderr), closed(child)])
  return { code, out, err }
}

async function parse(...args: string[]): Promise<void> {
  await extractCommand().exitOverride().parseAsync(args, { from: 'user' })
}

t.test('extracts a capture to CSV on standard output', async t => {
  const dir = t.testdir({ 'a.pcap': capture })
  const { code, out, err } = await run([join(dir, 'a.pcap')])
  t.equal(code, 0)
  t.equal(err, '')
  const lines = out.trimEnd().split('\n')
  t.equal(lines.length, 7)
  t.match(lines[0], /^frame,time,packet_length,/)
  t.match(lines[5], /^5,.*,48,68656c6c6f,8,1,3,0$/)
})

t.test('reads standard input and writes NDJSON', async t => {
  const { code, out } = await run(['-', '--format', 'ndjson'], capture)
  t.equal(code, 0)
  t.match(
    out
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line) as object),
    [{ frame: 1 }, {}, {}, { mqtt_msg_type: 1 }, { mqtt_msg: '68656c6c6f' }, { mqtt_msg_type: 12 }]
  )
})

t.test('with several files, rows have the file name, and frames are numbered per file', async t => {
  const dir = t.testdir({ 'a.pcap': capture, 'b.pcap': capture })
  const out = join(dir, 'out.csv')
  await parse(join(dir, 'a.pcap'), join(dir, 'b.pcap'), '--out', out)
  const lines = readFileSync(out, 'utf8').trimEnd().split('\n')
  t.equal(lines.length, 13)
  t.match(lines[0], /^file,frame,time/)
  t.ok(lines[1].startsWith(`${join(dir, 'a.pcap')},1,`))
  t.ok(lines[7].startsWith(`${join(dir, 'b.pcap')},1,`))
  t.same(readdirSync(dir).sort(), ['a.pcap', 'b.pcap', 'out.csv'])
})

t.test('--mqtt-port selects the ports', async t => {
  const dir = t.testdir({ 'a.pcap': capture })
  const out = join(dir, 'out.csv')
  await parse(join(dir, 'a.pcap'), '--mqtt-port', '8883,9001', '--out', out)
  t.equal(readFileSync(out, 'utf8').split('\n').length, 2, 'only the header')
  for (const value of ['mqtt', '0', '65536', '1883,', '1.5', '']) {
    await t.rejects(
      parse(join(dir, 'a.pcap'), '--mqtt-port', value),
      { code: 'commander.invalidArgument', message: /ports from 1 to 65535/ },
      value
    )
  }
})

t.test('warns if a capture has no frame on the ports', async t => {
  const file = join(t.testdir({ 'a.pcap': capture }), 'a.pcap')
  t.match(await runArtemis(['extract', file, '--mqtt-port', '8883,9001']), {
    code: 0,
    out: /^frame,.*\n$/,
    err: /a\.pcap: no frames on port 8883 or 9001\. Set other ports with --mqtt-port\.\n$/
  })
})

t.test('errors name the file and leave no output', async t => {
  const corrupt = Buffer.from(capture)
  corrupt.writeUInt32LE(0xffff_ffff, 24 + 16 + 60 + 8)
  const dir = t.testdir({ 'empty.pcap': '', 'text.pcap': 'not a capture at all', 'corrupt.pcap': corrupt, folder: {} })
  const out = join(dir, 'out.csv')
  const errors: [string, object][] = [
    ['empty.pcap', { code: 'capture-empty' }],
    ['text.pcap', { code: 'capture-not-recognised' }],
    ['corrupt.pcap', { code: 'capture-corrupt' }],
    ['missing.pcap', { code: 'capture-unreadable', message: /no such file/ }],
    ['folder', { code: 'capture-unreadable', message: /directory/ }]
  ]
  for (const [name, expected] of errors) {
    const path = join(dir, name)
    await t.rejects(
      parse(path, '--out', out),
      { name: 'OperatorError', message: new RegExp(name), remedy: /./, ...expected },
      name
    )
  }
  t.notOk(readdirSync(dir).some(name => name.startsWith('out.csv')))
})

t.test('writes all whole frames of a truncated capture, then fails', async t => {
  const dir = t.testdir({ 'cut.pcap': capture.subarray(0, -3), 'whole.pcap': capture })
  const out = join(dir, 'out.csv')
  await t.rejects(parse(join(dir, 'cut.pcap'), join(dir, 'whole.pcap'), '--out', out), {
    code: 'capture-cut-short',
    message: /cut\.pcap.*frame 5/
  })
  t.equal(readFileSync(out, 'utf8').trimEnd().split('\n').length, 1 + 5 + 6)
})

t.test('reads a compressed capture, complete and truncated', async t => {
  const many = new Talk().open()
  for (let i = 0; i < 500; i++) many.send('in', publish('t', `${(i * 7919) % 1000}`))
  const packed = gzipSync(pcapFile(many.frames))
  const dir = t.testdir({ 'whole.pcap': packed, 'cut.pcap': packed.subarray(0, packed.length >> 1) })
  const out = join(dir, 'out.csv')
  await parse(join(dir, 'whole.pcap'), '--out', out)
  t.equal(readFileSync(out, 'utf8').trimEnd().split('\n').length, 504)
  await t.rejects(parse(join(dir, 'cut.pcap'), '--out', out), { code: 'capture-cut-short', message: /cut\.pcap/ })
  t.ok(readFileSync(out, 'utf8').split('\n').length > 100)
})

t.test('refuses an output that cannot be written', async t => {
  const dir = t.testdir({ 'a.pcap': capture })
  await t.rejects(parse(join(dir, 'a.pcap'), '--out', join(dir, 'no', 'where.csv')), { code: 'output-unwritable' })
  await t.rejects(parse(join(dir, 'a.pcap'), '--out', dir), { code: 'output-unwritable' })
  await t.rejects(parse(join(dir, 'a.pcap'), '--out', join(dir, 'a.pcap')), { code: 'output-is-input' })
  t.same(readFileSync(join(dir, 'a.pcap')), capture)
})

t.test('a closed output pipe is not an error', async t => {
  const many = new Talk().open()
  for (let i = 0; i < 4000; i++) many.send('in', PINGREQ)
  const dir = t.testdir({ 'a.pcap': pcapFile(many.frames) })
  const child = start(join(dir, 'a.pcap'))
  child.stdin.end()
  const err = readText(child.stderr)
  child.stdout.once('data', () => child.stdout.destroy())
  t.equal(await closed(child), 0)
  t.equal(await err, '')
})

t.test('SIGINT while reading a file removes the output and exits with 0', async t => {
  const dir = t.testdir({ 'long.pcap': pcapFile([]) })
  // A sparse file of empty frames, too long to be read to the end.
  truncateSync(join(dir, 'long.pcap'), 2 ** 36)
  const child = start(join(dir, 'long.pcap'), '--out', join(dir, 'out.csv'))
  await waitUntil('the output file exists', () => readdirSync(dir).length > 1)
  t.match(readdirSync(dir), ['long.pcap', /^out\.csv\.part-/])
  child.kill('SIGINT')
  t.equal(await closed(child), 0)
  t.same(readdirSync(dir), ['long.pcap'])
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  t.test(`${signal} ends a live input and keeps the frames received so far`, async t => {
    const dir = t.testdir({ 'other.pcap': capture })
    const child = start('-', join(dir, 'other.pcap'), '--out', join(dir, 'out.csv'))
    // The last frame is incomplete: a live input may end anywhere.
    child.stdin.write(capture.subarray(0, -3))
    await waitUntil('the frames are written', () =>
      readdirSync(dir).some(
        name => name.includes('.part-') && readFileSync(join(dir, name), 'utf8').split('\n').length > 6
      )
    )
    child.kill(signal)
    const [err, code] = await Promise.all([readText(child.stderr), closed(child)])
    t.equal(code, 0)
    t.equal(err, '')
    t.same(readdirSync(dir), ['other.pcap', 'out.csv'])
    const lines = readFileSync(join(dir, 'out.csv'), 'utf8').split('\n')
    t.equal(lines.length, 1 + 5 + 1, 'the next input is not read')
    t.match(lines[5], /^-,5,.*,48,68656c6c6f,8,1,3,0$/)
    t.equal(lines[6], '')
  })
}

t.test('a live input has a grace period after the signal', async t => {
  const interruption = new Interruption(1)
  t.teardown(() => {
    interruption.dispose()
  })
  interruption.reading(true)
  interruption.interrupt()
  t.ok(interruption.isEnding)
  t.notOk(interruption.ended.aborted || interruption.abandoned.aborted, 'the sender can finish')
  await waitUntil('the end of the grace period', () => interruption.ended.aborted)
  t.notOk(interruption.abandoned.aborted)
  interruption.interrupt()
  t.ok(interruption.abandoned.aborted, 'a second signal aborts')
})

t.test('replaces an existing output only with a complete one', async t => {
  const dir = t.testdir({ 'a.pcap': capture, 'bad.pcap': 'not a capture', 'out.csv': 'old' })
  const out = join(dir, 'out.csv')
  await t.rejects(parse(join(dir, 'bad.pcap'), '--out', out))
  t.equal(readFileSync(out, 'utf8'), 'old')
  await parse(join(dir, 'a.pcap'), '--out', out)
  t.match(readFileSync(out, 'utf8'), /^frame,/)
  writeFileSync(out, '')
})

t.test('shows a progress bar for a long file, only on a terminal', { skip: programMissing('script') }, async t => {
  const record = Buffer.alloc(16 + 262_144)
  record.writeUInt32LE(262_144, 8)
  record.writeUInt32LE(262_144, 12)
  const long = Buffer.concat([pcapFile([]), ...new Array<Buffer>(80).fill(record), capture.subarray(24)])
  const dir = t.testdir({ 'long.pcap': long, 'short.pcap': capture })
  const onTerminal = async (...args: string[]): Promise<string> => {
    const command = [process.execPath, PROGRAM, 'extract', ...args].map(word => `'${word}'`).join(' ')
    const child = spawn(findProgram('script'), ['-qec', command, '/dev/null'], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [out, code] = await Promise.all([readText(child.stdout), closed(child)])
    t.equal(code, 0)
    return out
  }
  t.match(await onTerminal(join(dir, 'long.pcap'), '--out', join(dir, 'out.csv')), /extract .*100 %/)
  const both = await onTerminal(join(dir, 'long.pcap'))
  t.match(both, /100 %/, 'with output on the same terminal')
  t.match(both, /68656c6c6f/)
  t.notMatch(await onTerminal(join(dir, 'short.pcap')), /%/, 'no bar for a short file')
  t.equal((await run([join(dir, 'long.pcap')])).err, '', 'no bar without a terminal')
})
