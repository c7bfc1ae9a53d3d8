// tcpdump at the broker's interface: every TCP frame as a whole.

import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { findProgram } from '../../test/support/programs.js'
import type { LabNetwork } from './lab-network.js'

/** A capture that runs. */
export interface Capturing {
  /** Ends it; resolves with the number of frames that the kernel dropped. */
  stop(): Promise<number>
}

const BUFFER_KIB = 32_768

/** Begins to capture to `path`; resolves when frames are surely being seen. */
export async function startCapture({ broker, device }: LabNetwork, path: string): Promise<Capturing> {
  const child = broker.spawn(
    findProgram('tcpdump'),
    ['-i', device, '-n', '-s', '0', '-B', String(BUFFER_KIB), '-Z', 'root', '-w', path, 'tcp'],
    { stdio: ['ignore', 'ignore', 'pipe'] }
  )
  const exited = once(child, 'exit')
  let dropped = 0
  if (child.stderr === null) throw new Error('tcpdump has no standard error')
  const lines = createInterface({ input: child.stderr })
  await new Promise<void>((resolve, reject) => {
    lines.on('line', line => {
      if (line.includes('listening on')) resolve()
      const match = /^(\d+) packets? dropped by kernel/.exec(line)
      if (match !== null) dropped = Number(match[1])
    })
    child.once('error', reject)
    child.once('exit', code => {
      reject(new Error(`tcpdump ended with ${String(code)}`))
    })
  })
  return {
    async stop() {
      child.kill('SIGINT')
      await exited
      return dropped
    }
  }
}
