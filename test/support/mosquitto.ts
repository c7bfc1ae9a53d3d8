// Starts a real mosquitto on a free port on loopback.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { findProgram } from './programs.js'
import { freePort } from './free-port.js'

/** A running mosquitto. */
export interface Mosquitto {
  port: number
  url: string
  stop(): Promise<void>
}

const START_TIMEOUT_MS = 60_000

/** Starts a mosquitto that accepts all clients and stores nothing. */
export async function startMosquitto(directory: string): Promise<Mosquitto> {
  const port = await freePort()
  const file = join(directory, 'mosquitto.conf')
  writeFileSync(file, `listener ${port} 127.0.0.1\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\n`)
  const child = spawn(findProgram('mosquitto'), ['-c', file], { stdio: 'ignore' })
  const deadline = performance.now() + START_TIMEOUT_MS
  while (!(await acceptsConnections(port))) {
    if (child.exitCode !== null) throw new Error(`mosquitto exited with code ${child.exitCode}`)
    if (performance.now() > deadline) {
      child.kill('SIGKILL')
      throw new Error(`mosquitto did not start in ${START_TIMEOUT_MS} ms`)
    }
    await pause(10)
  }
  return {
    port,
    url: `mqtt://127.0.0.1:${port}`,
    async stop() {
      if (child.exitCode !== null) return
      child.kill()
      await once(child, 'exit')
    }
  }
}

async function acceptsConnections(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  const connected = await new Promise<boolean>(resolve => {
    socket
      .once('connect', () => {
        resolve(true)
      })
      .once('error', () => {
        resolve(false)
      })
  })
  socket.destroy()
  return connected
}
