// The broker of the lab: the program itself, with an empty data folder, in observe mode.

import type { ChildProcess } from 'node:child_process'
import { createWriteStream, mkdirSync, writeFileSync } from 'node:fs'
import { pbkdf2Sync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { BROKER_ADDRESS, type LabNetwork } from './lab-network.js'
import type { Home } from './home.js'
import { certificate } from '../../test/support/encrypted.js'
import type { Target } from './target.js'

/** A running broker. */
export interface LabBroker {
  process: ChildProcess
  target: Target
  /** Stops the broker; resolves when it has exited. */
  stop(): Promise<void>
}

const MQTT_PORT = 1883
const TLS_PORT = 8883
const WEB_SOCKET_PORT = 9001
/** Low, so that password guesses cost little processor time. */
const PASSWORD_ITERATIONS = 101

/** Limits are off, so that attacks are not throttled. */
const NO_LIMITS = [
  'connections',
  'connectionsPerAddress',
  'messagesPerSecond',
  'bytesPerSecond',
  'inflightMessages',
  'topicsPerClient',
  'queuedMessages',
  'queuedBytes'
]
  .map(name => `${name}: null`)
  .join(', ')

/**
 * Starts the broker in its namespace.
 *
 * @param folder for its settings, data and log
 * @param records file for the scored records, or null
 */
export async function startBroker(
  network: LabNetwork,
  home: Home,
  folder: string,
  records: string | null
): Promise<LabBroker> {
  mkdirSync(folder, { recursive: true })
  certificate(folder)
  const tls = `tls: { cert: ${join(folder, 'cert.pem')}, key: ${join(folder, 'key.pem')} }`
  const users = join(folder, 'users')
  writeFileSync(users, home.users.map(passwordLine).join(''), { mode: 0o600 })
  const config = join(folder, 'artemis.yaml')
  writeFileSync(
    config,
    [
      'listeners:',
      `  - { host: ${BROKER_ADDRESS}, port: ${MQTT_PORT} }`,
      `  - { host: ${BROKER_ADDRESS}, port: ${TLS_PORT}, ${tls} }`,
      `  - { host: ${BROKER_ADDRESS}, port: ${WEB_SOCKET_PORT}, protocol: websockets }`,
      `auth: { allowAnonymous: true, passwordFile: ${users} }`,
      `limits: { ${NO_LIMITS}, loginAttempts: { perAddress: null, perUser: null } }`,
      `data: ${join(folder, 'data')}`,
      'log: { format: json }',
      `tap: { target: ${records === null ? 'none' : `'local:${network.device}'`}, snapLength: 86B }`,
      // No training during a capture.
      'learn: { duration: 30d }',
      'response: { action: observe }',
      `report: { records: ${records ?? 'null'} }`,
      ''
    ].join('\n')
  )
  const main = new URL('../../broker/main.js', import.meta.url).pathname
  const child = network.broker.spawn(process.execPath, [main, 'broker', '--config', config], {
    stdio: ['ignore', 'ignore', 'pipe']
  })
  const exited = once(child, 'exit')
  const log = createWriteStream(join(folder, 'broker.log'))
  if (child.stderr === null) throw new Error('No standard error of the broker')
  await new Promise<void>((resolve, reject) => {
    child.once('exit', code => {
      reject(new Error(`Broker exited with ${String(code)} before it was ready; see ${folder}`))
    })
    createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', line => {
      log.write(`${line}\n`)
      if (line.includes('Artemis is ready')) resolve()
    })
  })
  return {
    process: child,
    target: { host: BROKER_ADDRESS, port: MQTT_PORT, tlsPort: TLS_PORT, webSocketPort: WEB_SOCKET_PORT },
    async stop() {
      child.kill('SIGTERM')
      await exited
      log.end()
    }
  }
}

/** Returns a line of a password file in mosquitto's format. */
function passwordLine({ user, password }: Home['users'][number]): string {
  const salt = randomBytes(12)
  const hash = pbkdf2Sync(password, salt, PASSWORD_ITERATIONS, 64, 'sha512')
  return `${user}:$7$${PASSWORD_ITERATIONS}$${salt.toString('base64')}$${hash.toString('base64')}\n`
}
