// The real broker in the lab: the program itself, on an empty data folder, told to observe only.

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

/** A broker that listens. */
export interface LabBroker {
  process: ChildProcess
  target: Target
  /** Ends it; resolves when it is gone. */
  stop(): Promise<void>
}

const MQTT_PORT = 1883
const TLS_PORT = 8883
const WEB_SOCKET_PORT = 9001
/** Cheap: a guess at a password should cost the lab's machine little. */
const PASSWORD_ITERATIONS = 101

/** What a client may ask of the broker is not limited here: an attack shall run its course. */
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
 * @param records where it writes the records that it scores, or null
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
      // Nothing is learnt within a capture: it is for training and testing what learns.
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
  if (child.stderr === null) throw new Error('the broker has no standard error')
  await new Promise<void>((resolve, reject) => {
    child.once('exit', code => {
      reject(new Error(`the broker ended with ${String(code)} before it was ready; see ${folder}`))
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

/** A line of a password file in mosquitto's format. */
function passwordLine({ user, password }: Home['users'][number]): string {
  const salt = randomBytes(12)
  const hash = pbkdf2Sync(password, salt, PASSWORD_ITERATIONS, 64, 'sha512')
  return `${user}:$7$${PASSWORD_ITERATIONS}$${salt.toString('base64')}$${hash.toString('base64')}\n`
}
