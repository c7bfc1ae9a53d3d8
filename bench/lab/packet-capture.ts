// Runs tcpdump at the broker's interface, with whole TCP frames.

import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { findProgram } from '../../test/support/programs.js'
import type { LabNetwork } from './lab-network.js'

/** A running capture. */
export interface PacketCapture {
  /** Stops the capture; resolves with the number of frames that the kernel dropped. */
  stop(): Promise<number>
}

const BUFFER_KIB = 32_768

/** Starts a capture to `path`; resolves when tcpdump is listening. */
export async function startCapture({ broker, device }: LabNetwork, path: string): Promise<PacketCapture> {
  const child = broker.spawn(
    findProgram('tcpdump'),
    ['-i', device, '-n', '-s', '0', '-B', String(BUFFER_KIB), '-Z', 'root', '-w', path, 'tcp'],
    { stdio: ['ignore', 'ignore', 'pipe'] }
  )
  const exited = once(child, 'exit')
  let dropped = 0
  if (child.stderr === null) throw new Error('No standard error of tcpdump')
  const lines = createInterface({ input: child.stderr })
  await new Promise<void>((resolve, reject) => {
    lines.on('line', line => {
      if (line.includes('listening on')) resolve()
      const match = /^(\d+) packets? dropped by kernel/.exec(line)
      if (match !== null) dropped = Number(match[1])
    })
    child.once('error', reject)
    child.once('exit', code => {
      reject(new Error(`tcpdump exited with ${String(code)}`))
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
