// The program on a full, damaged or read-only disk, and at its storage limits.

import { createHash, randomBytes } from 'node:crypto'
import {
  closeSync,
  cpSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync
} from 'node:fs'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { diskMissing, mountDisk } from '../../support/small-disk.js'
import { waitUntil } from '../../support/wait-until.js'
import { logged } from '../listeners/listening.js'
import { runArtemis, type ProcessResult } from '../running-broker.js'
import { startOnAllTransports, type TransportBroker } from './transports.js'
import { oldContents, unpackOldStore } from './old-store.js'
import { SessionClient, type SessionOptions, type Version } from './session-client.js'

/** These tests mostly wait for a broker: run them in parallel. */
const parallel = { buffered: true }
t.jobs = 3

const noDisk = diskMissing()
const MIB = 2 ** 20
const DISK_BYTES = 24 * MIB
const BALLAST_BYTES = 18 * MIB
const PAYLOAD_BYTES = 20_000
/** Unacknowledged messages of the publisher. */
const WINDOW = 20
/** More messages than fit on the disk, and fewer than the queue limit. */
const MAX_MESSAGES = 900
const FAILED = 'Cannot write to the store.'
const RECOVERED = 'The store is writable again.'

async function connect(
  broker: TransportBroker,
  clientId: string,
  options: Partial<SessionOptions> = {}
): Promise<SessionClient> {
  return await SessionClient.connect(await broker.open('TCP'), {
    clientId,
    clean: true,
    acknowledges: true,
    ...options
  })
}

function times(text: string, log: string): number {
  return log.split(text).length - 1
}

function isAcknowledgement({ cmd }: { cmd: string }): boolean {
  return cmd === 'puback'
}

t.test(
  'full disk: unstored messages are not acknowledged, clients stay connected, and all messages are stored when there is space again',
  { skip: noDisk, ...parallel },
  async t => {
    const folder = t.testdir({})
    const data = path.join(folder, 'data')
    mountDisk(t, data, DISK_BYTES)
    const ballast = path.join(data, 'ballast')
    writeFileSync(ballast, Buffer.alloc(BALLAST_BYTES, 1))
    const settings = { limits: { bytesPerSecond: null } }
    const broker = await startOnAllTransports(t, folder, settings)
    const offline = await connect(broker, 'offline', { clean: false })
    await offline.subscribeMarker()
    await offline.subscribe([['t', 1]])
    await offline.disconnect()
    const [listener, other] = [await connect(broker, 'listener', { version: 5 }), await connect(broker, 'other')]
    await listener.subscribeMarker()
    await listener.subscribe([['live', 2]])

    const publisher = await connect(broker, 'publisher')
    const sent: string[] = []
    const acknowledged = (): number => publisher.received.filter(isAcknowledgement).length
    while (!broker.log().includes(FAILED)) {
      if (sent.length - acknowledged() >= WINDOW) await pause(1)
      else if (sent.length >= MAX_MESSAGES) throw new Error('the disk does not fill')
      else {
        const payload = Buffer.concat([Buffer.from(`${sent.length} `), randomBytes(PAYLOAD_BYTES)])
        sent.push(createHash('sha1').update(payload).digest('hex'))
        publisher.send(publisher.publishPacket('t', payload))
      }
    }
    await publisher.settled()
    const before = acknowledged()
    t.ok(before > WINDOW && before < sent.length, `${before} of ${sent.length} are acknowledged`)

    await t.test('other messages are delivered', async t => {
      for (const qos of [0, 1, 2] as const) await other.publish('live', String(qos), { qos })
      t.same(
        (await listener.messagesSoFar()).map(({ payload }) => payload.toString()),
        ['0', '1', '2']
      )
      const late = await connect(broker, 'late')
      t.same(await late.subscribe([['live', 1]]), [1])
      await other.publish('live', 'to both')
      t.equal((await late.next('publish')).payload.toString(), 'to both')
      await late.disconnect()
    })
    // LevelDB renames its log file each time it is opened.
    await waitUntil('a retry', () => existsSync(path.join(data, 'store', 'LOG.old')))
    await publisher.settled()
    t.equal(acknowledged(), before, 'no further acknowledgement')

    rmSync(ballast)
    await logged(broker, RECOVERED)
    await waitUntil('all acknowledgements', () => acknowledged() === sent.length)
    t.same(
      publisher.received.filter(isAcknowledgement).map(packet => (packet as { messageId?: number }).messageId),
      sent.map((_, i) => i + 1)
    )
    t.equal(times(FAILED, broker.log()), 1)
    t.equal(times(RECOVERED, broker.log()), 1)
    t.equal(times('"level":"error"', broker.log()), 1)
    t.notOk([publisher, listener, other].some(({ isClosed }) => isClosed))

    await broker.stop('SIGKILL')
    const again = await startOnAllTransports(t, folder, settings)
    const back = await connect(again, 'offline', { clean: false })
    const got = (await back.messagesSoFar()).map(({ payload }) => createHash('sha1').update(payload).digest('hex'))
    t.equal(got.length, sent.length)
    t.ok(
      got.every((hash, i) => hash === sent[i]),
      'in order'
    )
    t.equal((await again.stop()).code, 0)
  }
)

t.test(
  'shutdown on a full disk terminates, also if old records are still to be removed',
  { skip: noDisk, ...parallel },
  async t => {
    const folder = t.testdir({})
    const data = path.join(folder, 'data')
    mountDisk(t, data, DISK_BYTES)
    unpackOldStore('killed', path.join(folder, 'old'))
    cpSync(path.join(folder, 'old'), data, { recursive: true })
    const broker = await startOnAllTransports(t, folder)
    t.match(broker.log(), 'Imported the sessions and queues of an earlier version.')
    const ballast = path.join(data, 'ballast')
    fill(ballast)
    const { code, stderr } = await broker.stop()
    t.equal(code, 1)
    t.match(broker.log(), FAILED)
    t.match(stderr, /Cannot write to the store at shutdown: \d+ changes lost, none of them acknowledged/)
    rmSync(ballast)
    const again = await startOnAllTransports(t, folder)
    t.notMatch(again.log(), 'Imported', 'not imported again')
    for (const { clientId, version } of oldContents('killed').sessions.filter(({ queue }) => queue.length > 0)) {
      t.ok((await connect(again, clientId, { clean: false, version: version === 5 ? 5 : 4 })).sessionPresent, clientId)
    }
    t.equal((await again.stop()).code, 0)
  }
)

/** Fills the disk completely. */
function fill(file: string): void {
  const handle = openSync(file, 'w')
  try {
    for (;;) writeSync(handle, Buffer.alloc(4_096))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  } finally {
    closeSync(handle)
  }
}

/** Creates the data folder of a broker that was started `starts` times. */
async function makeData(test: Test, folder: string, starts = 1): Promise<string> {
  for (let start = 0; start < starts; start++) {
    const broker = await startOnAllTransports(test, folder)
    const client = await connect(broker, 'offline', { clean: false })
    await client.subscribe([['t', 1]])
    await client.disconnect()
    const publisher = await connect(broker, 'publisher')
    for (let i = 0; i < 20; i++)
      await publisher.publish(i === 0 ? 't' : `kept/${i}`, randomBytes(500), { retain: i > 0 })
    test.equal((await broker.stop()).code, 0)
  }
  return path.join(folder, 'data')
}

/** Returns hashes of all files, except LevelDB's log and lock files. */
function contentsOf(data: string): Record<string, string> {
  const files = readdirSync(data, { recursive: true, withFileTypes: true }).filter(
    entry => entry.isFile() && !/^(LOG(\.old)?|LOCK)$/.test(entry.name)
  )
  return Object.fromEntries(
    files
      .map(({ parentPath, name }) => {
        const file = path.join(parentPath, name)
        return [path.relative(data, file), createHash('sha1').update(readFileSync(file)).digest('hex')] as const
      })
      .sort(([a], [b]) => (a < b ? -1 : 1))
  )
}

async function start(folder: string): Promise<ProcessResult> {
  return await runArtemis(['broker', '--port', '0', '--data', 'data'], folder)
}

t.test('a data folder without CURRENT is reported as damaged, and not changed', parallel, async t => {
  const folder = t.testdir({})
  const data = await makeData(t, folder)
  rmSync(path.join(data, 'store', 'CURRENT'))
  const names = readdirSync(path.join(data, 'store')).sort()
  const before = contentsOf(data)
  const { code, stderr } = await start(folder)
  t.equal(code, 1)
  t.match(stderr, /The data folder \S*data is damaged: the file CURRENT is missing/)
  t.match(stderr, /Restore it from a backup, or move its subfolder "store" away/)
  t.notMatch(stderr, 'internal error')
  t.same(contentsOf(data), before)
  t.same(readdirSync(path.join(data, 'store')).sort(), names, 'no new file')
})

for (const [what, pattern] of [
  ['table', /\.ldb$/],
  ['manifest', /^MANIFEST-/]
] as const) {
  t.test(`a damaged ${what} is reported, and not changed`, parallel, async t => {
    const folder = t.testdir({})
    // The next start converts LevelDB's journal to a table.
    const data = await makeData(t, folder, 2)
    const store = path.join(data, 'store')
    const damaged = readdirSync(store)
      .filter(name => pattern.test(name))
      .sort()
    t.ok(damaged.length > 0)
    for (const name of damaged) {
      const bytes = readFileSync(path.join(store, name))
      writeFileSync(
        path.join(store, name),
        bytes.map((byte, at) => (at >= 8 && at < bytes.length - 48 ? byte ^ 0x55 : byte))
      )
    }
    const before = contentsOf(data)
    const { code, stderr } = await start(folder)
    t.equal(code, 1)
    t.match(stderr, /The data folder \S*data is damaged: /)
    t.match(stderr, /Restore it from a backup/)
    t.notMatch(stderr, 'internal error')
    const after = contentsOf(data)
    for (const name of damaged) t.equal(after[`store/${name}`], before[`store/${name}`], name)
    if (what === 'manifest') t.same(after, before)
  })
}

for (const what of ['empty', 'with data'] as const) {
  t.test(`a read-only data folder is reported with a remedy: ${what}`, { skip: noDisk, ...parallel }, async t => {
    const folder = t.testdir({ 'artemis.yaml': 'tap: { target: none }\n' })
    const data = path.join(folder, 'data')
    const { makeReadOnly } = mountDisk(t, data, DISK_BYTES)
    if (what === 'with data') await makeData(t, folder)
    makeReadOnly()
    const before = contentsOf(data)
    const { code, stderr } = await start(folder)
    t.equal(code, 1)
    t.match(stderr, /\bdata\b/)
    t.match(
      stderr,
      /Check that this user can write to it|Choose a folder that this user can write to|read-only: write to another one/
    )
    t.notMatch(stderr, 'internal error')
    t.same(contentsOf(data), before)
  })
}

/** Returns a function that reads the latest value of a $SYS topic. */
async function figures(test: Test, broker: TransportBroker): Promise<(topic: string) => string> {
  const watcher = await SessionClient.connect(await broker.open('TCP'), {
    clientId: 'watcher',
    clean: true,
    acknowledges: true
  })
  await watcher.subscribe([['$SYS/broker/#', 0]])
  test.teardown(() => watcher.destroy())
  return topic =>
    watcher.received
      .findLast(packet => packet.cmd === 'publish' && packet.topic === `$SYS/broker/${topic}`)
      ?.bytes.toString() ?? ''
}

t.test('limits of persistent sessions and retained messages', parallel, async t => {
  const folder = t.testdir({})
  const settings = { limits: { sessions: 2, retainedMessages: 3 }, more: ['sysInterval: 1s'] }
  const broker = await startOnAllTransports(t, folder, settings)
  const figure = await figures(t, broker)
  for (const clientId of ['one', 'two', 'three']) {
    const client = await connect(broker, clientId, { clean: false })
    await client.subscribe([['t', 1]])
    await client.disconnect()
  }
  await logged(broker, '"limit":"sessions"')
  t.match(broker.log(), /"limit":"sessions"[^\n]*"client":"three"/)
  const listener = await connect(broker, 'listener')
  await listener.subscribeMarker()
  await listener.subscribe([['kept/#', 1]])
  const publisher = await connect(broker, 'publisher')
  for (let i = 0; i < 5; i++) await publisher.publish(`kept/${i}`, String(i), { retain: true })
  await publisher.publish('kept/0', 'changed', { retain: true })
  t.same(
    (await listener.messagesSoFar()).map(({ payload }) => payload.toString()),
    ['0', '1', '2', '3', '4', 'changed'],
    'all are delivered'
  )
  const late = await connect(broker, 'late')
  await late.subscribe([['kept/#', 1]])
  t.same((await late.messages(3)).map(({ payload }) => payload.toString()).sort(), ['1', '2', 'changed'])
  await waitUntil(
    'both limits are counted',
    () => /"sessions":1\b/.test(figure('artemis/limits')) && /"retainedMessages":2\b/.test(figure('artemis/limits'))
  )
  t.equal(times('"limit":"retainedMessages"', broker.log()), 1, 'logged once')
  t.same(
    await Promise.all(
      ['one', 'two', 'three'].map(async clientId => (await connect(broker, clientId, { clean: false })).sessionPresent)
    ),
    [true, true, false]
  )
  await broker.stop('SIGKILL')
  const again = await startOnAllTransports(t, folder, settings)
  const last = await connect(again, 'last')
  await last.subscribeMarker()
  await last.subscribe([['kept/#', 1]])
  t.same(
    (await last.messagesSoFar()).map(({ payload }) => payload.toString()).sort(),
    ['1', '2', 'changed'],
    'also after a restart'
  )
})

t.test('a session of an offline client ends after sessionExpiry', parallel, async t => {
  const broker = await startOnAllTransports(t, t.testdir({}), {
    limits: { sessionExpiry: '2s' },
    more: ['sysInterval: 1s']
  })
  const figure = await figures(t, broker)
  const options = (version: Version): Partial<SessionOptions> => ({ version, clean: false })
  const offline: SessionClient[] = []
  for (const version of [4, 5] as const) {
    for (const name of ['back', 'offline']) {
      const client = await connect(broker, `${name}${version}`, options(version))
      if (version === 5) t.equal(client.connack.properties?.sessionExpiryInterval, 2, 'announced in the CONNACK')
      await client.subscribe([[`t/${name}${version}`, 1]])
      offline.push(client)
    }
  }
  await Promise.all(offline.map(client => client.destroy()))
  const disconnectedAt = Date.now()
  for (const version of [4, 5] as const)
    t.ok((await connect(broker, `back${version}`, options(version))).sessionPresent, 'before it expires')
  await waitUntil('both expire', () => figure('clients/expired').endsWith('2'))
  t.ok(Date.now() - disconnectedAt >= 1_950)
  for (const version of [4, 5] as const)
    t.equal((await connect(broker, `offline${version}`, options(version))).sessionPresent, false)
})
