// A broker with listeners of all kinds, and where each of them is.

import { writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Test } from 'tap'
import { waitUntil } from '../../support/wait-until.js'
import { startBroker, type RunningBroker } from '../running-broker.js'

/** A broker and the ports of its listeners, in the order of its settings. */
export interface Listening extends RunningBroker {
  ports: number[]
}

/** Starts a broker with these listeners, each as the lines of its map; further settings as lines. */
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
      // Listeners beyond loopback let nobody in unasked.
      ...(more.some(line => line.startsWith('auth:')) ? [] : ['auth: { allowAnonymous: true }']),
      ...more
    ].join('\n') + '\n'
  )
  const broker = await startBroker(test, folder)
  const ports = [...broker.log().matchAll(/"port":(\d+),"msg":"Listening/g)].map(match => Number(match[1]))
  return { ...broker, ports }
}

/** Resolves when the log holds a text. */
export async function logged({ log }: Pick<RunningBroker, 'log'>, text: string): Promise<void> {
  await waitUntil(`${text} in the log`, () => log().includes(text))
}
