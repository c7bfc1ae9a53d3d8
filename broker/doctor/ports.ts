// Checks that the ports of the listeners are free, and names the process that uses one that is not.

import { once } from 'node:events'
import net from 'node:net'
import { printable } from '../terminal/printable.js'
import { note, ok, problem, type Finding, type CheckContext } from './finding.js'
import { portHolder, type PortHolder } from './port-holder.js'

/** Checks the ports of all listeners. */
export async function checkPorts({ effective, proc }: CheckContext): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const { host, port } of effective?.settings.listeners ?? []) findings.push(await checkPort(host, port, proc))
  return findings
}

async function checkPort(host: string, port: number, proc: string): Promise<Finding> {
  const code = await bindErrorOf(host, port)
  const where = `Port ${port} on ${host}`
  switch (code) {
    case undefined:
      return ok(`${where} is free.`)
    case 'EADDRINUSE':
      return portInUse(where, port, await portHolder(port, proc))
    case 'EACCES':
      return problem(`${where}: permission denied.`, 'Use a port from 1024 up, such as 1883.')
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return problem(
        `${host} is not an address of this machine.`,
        "Set the listener's host to 0.0.0.0 for all addresses, or 127.0.0.1 for this machine only."
      )
    default:
      return problem(`${where} is not available: ${code}.`, 'Check the host and port of the listener.')
  }
}

function portInUse(where: string, port: number, holder: PortHolder | undefined): Finding {
  if (holder === undefined) {
    return problem(
      `${where} is in use by a program of another user.`,
      `Find it with "sudo artemis doctor" or "sudo ss -ltnp sport = ${port}". Often it is mosquitto: stop it with "sudo systemctl stop mosquitto".`
    )
  }
  const program = `${printable(holder.name)} (process ${holder.pid})`
  // The process name is `node`, so the command line is checked.
  if (/artemis|broker\/main\.js/.test(holder.command))
    return note(`${where} is in use by a running Artemis, ${program}.`)
  if (holder.name === 'mosquitto') {
    return problem(
      `${where} is in use by mosquitto (process ${holder.pid}).`,
      'Stop it with "sudo systemctl disable --now mosquitto", or use another port: --port.'
    )
  }
  return problem(`${where} is in use by ${program}.`, 'Stop that program, or use another port: --port.')
}

async function bindErrorOf(host: string, port: number): Promise<string | undefined> {
  const server = net.createServer()
  try {
    server.listen({ host, port, exclusive: true })
    await once(server, 'listening')
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown'
  } finally {
    if (server.listening) {
      server.close()
      await once(server, 'close')
    }
  }
}
