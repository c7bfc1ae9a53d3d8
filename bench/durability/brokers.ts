// Brokers to be killed and measured: the program as users run it, and its store and Aedes alone.

import { fork, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A broker in a process of its own. */
export interface Broker {
  port: number
  child: ChildProcess
  /** Ends the process at once, without a word; resolves when it is gone. */
  kill (): Promise<void>
}

/** The program, with its data in `folder`, without a tap. */
export async function startProgram (folder: string): Promise<Broker> {
  const config = join(folder, 'artemis.yaml')
  writeFileSync(config, `listeners: [{ host: 127.0.0.1, port: 0 }]\ndata: ${join(folder, 'data')}\nlog: { format: json }\ntap: { target: none }\n`)
  const child = spawn(process.execPath, [new URL('../../broker/main.js', import.meta.url).pathname, 'broker', '--config', config], {
    stdio: ['ignore', 'ignore', 'pipe']
  })
  let log = ''
  const port = await new Promise<number>((resolve, reject) => {
    child.once('exit', () => { reject(new Error(`the broker ended:\n${log}`)) })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text
      const found = /"port":(\d+),"msg":"Listening/.exec(log)
      if (found !== null && log.includes('Artemis is ready')) resolve(Number(found[1]))
    })
  })
  return { port, child, kill: () => kill(child) }
}

/** Store and Aedes alone, with held writes or without. */
export async function startSmall (folder: string, writes: 'held' | 'direct'): Promise<Broker> {
  const child = fork(new URL('./small-broker.js', import.meta.url), [folder, writes])
  const [{ port }] = await once(child, 'message') as [{ port: number }]
  return { port, child, kill: () => kill(child) }
}

async function kill (child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}
