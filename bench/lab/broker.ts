// The real broker in the lab: the program itself, on an empty data folder, told to observe only.

import type { ChildProcess } from 'node:child_process'
import { createWriteStream, mkdirSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { BROKER_ADDRESS, type LabNetwork } from './lab-network.js'
import type { Target } from './target.js'

/** A broker that listens. */
export interface LabBroker {
  process: ChildProcess
  target: Target
  /** Ends it; resolves when it is gone. */
  stop(): Promise<void>
}

const MQTT_PORT = 1883

/**
 * Starts the broker in its namespace.
 *
 * @param folder for its settings, data and log
 * @param records where it writes the records that it scores, or null
 */
export async function startBroker (network: LabNetwork, folder: string, records: string | null): Promise<LabBroker> {
  mkdirSync(folder, { recursive: true })
  const config = join(folder, 'artemis.yaml')
  writeFileSync(config, [
    `listeners: [{ host: ${BROKER_ADDRESS}, port: ${MQTT_PORT} }]`,
    `data: ${join(folder, 'data')}`,
    'log: { format: json }',
    `tap: { target: ${records === null ? 'none' : `'local:${network.device}'`}, snapLength: 86B }`,
    // Nothing is learnt within a capture: it is for training and testing what learns.
    'learn: { duration: 30d }',
    'response: { action: observe }',
    `report: { records: ${records ?? 'null'} }`,
    ''
  ].join('\n'))
  const main = new URL('../../broker/main.js', import.meta.url).pathname
  const child = network.broker.spawn(process.execPath, [main, 'broker', '--config', config], { stdio: ['ignore', 'ignore', 'pipe'] })
  const exited = once(child, 'exit')
  const log = createWriteStream(join(folder, 'broker.log'))
  if (child.stderr === null) throw new Error('the broker has no standard error')
  await new Promise<void>((resolve, reject) => {
    child.once('exit', code => { reject(new Error(`the broker ended with ${String(code)} before it was ready; see ${folder}`)) })
    createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', line => {
      log.write(`${line}\n`)
      if (line.includes('Artemis is ready')) resolve()
    })
  })
  return {
    process: child,
    target: { host: BROKER_ADDRESS, port: MQTT_PORT, tlsPort: null, webSocketPort: null },
    async stop () {
      child.kill('SIGTERM')
      await exited
      log.end()
    }
  }
}
