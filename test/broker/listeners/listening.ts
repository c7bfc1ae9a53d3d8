// Starts a broker with given listeners.

import { writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Test } from 'tap'
import { waitUntil } from '../../support/wait-until.js'
import { startBroker, type RunningBroker } from '../running-broker.js'

/** A broker with the ports of its listeners, in the order of the settings. */
export interface Listening extends RunningBroker {
  ports: number[]
}

/** Starts a broker. Each listener is given as lines of its YAML map; `more` holds further lines of settings. */
export async function startListening(
  test: Test,
  folder: string,
  listeners: readonly (readonly string[])[],
  more: readonly string[] = []
): Promise<Listening> {
  writeFileSync(
    path.join(folder, 'artemis.yaml'),
    [
      'listeners:',
      ...listeners.flatMap(lines => ['port: 0', ...lines].map((line, i) => `${i === 0 ? '  - ' : '    '}${line}`)),
      ...(more.some(line => line.startsWith('tap:')) ? [] : ['tap: { target: none }']),
      // Listeners beyond loopback refuse anonymous clients by default.
      ...(more.some(line => line.startsWith('auth:')) ? [] : ['auth: { allowAnonymous: true }']),
      ...more
    ].join('\n') + '\n'
  )
  const broker = await startBroker(test, folder)
  const ports = [...broker.log().matchAll(/"port":(\d+),"msg":"Listening/g)].map(match => Number(match[1]))
  return { ...broker, ports }
}

/** Waits until the log contains a text. */
export async function logged({ log }: Pick<RunningBroker, 'log'>, text: string): Promise<void> {
  await waitUntil(`${text} in the log`, () => log().includes(text))
}
