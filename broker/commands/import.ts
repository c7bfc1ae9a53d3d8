// artemis import: copies the retained messages of a running broker into the data folder.

import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { OperatorError } from '../../src/errors.js'
import { readSettings, type Flags } from '../config/settings.js'
import { nextBrokerId, openDatabase } from '../core/database.js'
import type { MessageSource } from '../core/message.js'
import { openPersistence } from '../core/persistence.js'
import { Store } from '../core/store.js'
import type { MqttMessage } from '../client/mqtt-client.js'
import { parseMqttUrl } from '../client/mqtt-url.js'
import { MAX_PATH_LENGTH, printable } from '../terminal/printable.js'
import { Progress } from '../terminal/progress.js'
import { readRetained } from '../client/retained-import.js'
import { askPassword } from '../terminal/secret-input.js'

interface ImportFlags extends Pick<Flags, 'config' | 'mosquitto' | 'data'> {
  user?: string
  ca?: string
  cert?: string
  key?: string
}

/** The `import` command. */
export function importCommand(): Command {
  return new Command('import')
    .description('copy the retained messages of a running broker, such as mosquitto, into the data folder')
    .argument('<url>', 'mqtt://host[:port], or mqtts:// for TLS')
    .option('--user <name>', 'user name; the password is prompted for, or read from a pipe')
    .option('--ca <file>', "CA certificate to verify the broker's certificate")
    .option('--cert <file>', 'client certificate')
    .option('--key <file>', 'private key of the client certificate')
    .option('--config <file>', 'settings file of the target broker (default: ./artemis.yaml if it exists)')
    .option('--mosquitto <file>', 'mosquitto.conf of the target broker')
    .option('--data <folder>', 'data folder of the target broker')
    .action(run)
}

async function run(url: string, flags: ImportFlags): Promise<void> {
  const { settings } = readSettings({ config: flags.config, mosquitto: flags.mosquitto, data: flags.data })
  if (!settings.persistence) {
    throw new OperatorError(
      'import-persistence',
      'Persistence is off, so the copied messages would be lost.',
      'Set persistence: true (in mosquitto.conf: persistence true).'
    )
  }
  const target = parseMqttUrl(url)
  // Before the password prompt: a database in use is the likelier error.
  const db = await openDatabase(settings.data, true)
  let fail: (error: Error) => void = () => {}
  const failed = new Promise<never>((_resolve, reject) => {
    fail = reject
  })
  failed.catch(() => {})
  const store = new Store(db, {
    onFailed: cause => {
      fail(
        new OperatorError(
          'data-folder',
          `Cannot write to the data folder ${printable(settings.data, MAX_PATH_LENGTH)}: ${printable(cause.message)}`,
          'Check that the disk has free space.',
          { cause }
        )
      )
    },
    onRecovered: () => {}
  })
  const progress = new Progress()
  try {
    const address =
      flags.user === undefined
        ? url
        : withUser(url, flags.user, await askPassword(`Password of ${printable(flags.user)}: `))
    const tls = { ca: read(flags.ca), cert: read(flags.cert), key: read(flags.key) }
    const { messages, missing, sessions } = await readRetained(address, { tls }, (done, total) => {
      progress.update('Reading', done, Math.max(done, total))
    })
    const { retained } = await openPersistence(store, await nextBrokerId(db))
    let written = 0
    for (const message of messages.values()) {
      await retained.storeRetained(storedForm(message))
      await Promise.race([store.settled(), failed])
      progress.update('Writing', ++written, messages.size)
    }
    progress.stop()
    const lines = [
      `Copied ${messages.size} retained messages from ${target.shown} to ${printable(settings.data, MAX_PATH_LENGTH)}.`,
      ...(missing > 0
        ? [
            `By its own count, the broker has ${missing} more: either this user may not read them, or max_queued_messages of mosquitto is too low.`
          ]
        : []),
      'Sessions were not copied: their subscriptions and queued messages cannot be read over MQTT.' +
        (sessions === undefined || sessions === 0
          ? ''
          : ` The old broker has ${sessions} sessions of offline clients: to get their queued messages, these must reconnect to it first.`)
    ]
    process.stderr.write(`${lines.join('\n')}\n`)
  } finally {
    progress.stop()
    await store.close()
  }
}

/** Converts a message to its stored form. The expiry counts from now, in epoch milliseconds. */
function storedForm({ topic, payload, qos, properties }: MqttMessage): MessageSource {
  const { messageExpiryInterval, payloadFormatIndicator, contentType, responseTopic, correlationData, userProperties } =
    properties ?? {}
  const kept = Object.fromEntries(
    Object.entries({ payloadFormatIndicator, contentType, responseTopic, correlationData, userProperties }).filter(
      ([, value]) => value !== undefined
    )
  )
  return {
    topic,
    payload,
    qos,
    retain: true,
    ...(Object.keys(kept).length > 0 && { properties: kept }),
    ...(messageExpiryInterval !== undefined && { messageExpiry: Date.now() + messageExpiryInterval * 1_000 })
  }
}

function withUser(url: string, user: string, password: string): string {
  const address = new URL(url)
  address.username = encodeURIComponent(user)
  address.password = encodeURIComponent(password)
  return address.href
}

function read(file: string | undefined): Buffer | undefined {
  if (file === undefined) return undefined
  try {
    return readFileSync(file)
  } catch (cause) {
    throw new OperatorError(
      'import-file',
      `Cannot read ${printable(file, MAX_PATH_LENGTH)}: ${(cause as NodeJS.ErrnoException).code}.`,
      'Check its name and permissions.',
      { cause }
    )
  }
}
