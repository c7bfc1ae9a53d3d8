// Checks that the ports of the listeners can be had, and says who holds those that cannot.

import { once } from 'node:events'
import net from 'node:net'
import { printable } from '../terminal/printable.js'
import { note, ok, problem, type Finding, type CheckContext } from './finding.js'
import { portHolder, type Holder } from './port-holder.js'

/** The ports of the listeners. */
export async function checkPorts({ effective, proc }: CheckContext): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const { host, port } of effective?.settings.listeners ?? []) findings.push(await checkPort(host, port, proc))
  return findings
}

async function checkPort(host: string, port: number, proc: string): Promise<Finding> {
  const code = await refusalOf(host, port)
  const where = `Port ${port} on ${host}`
  switch (code) {
    case undefined:
      return ok(`${where} is free.`)
    case 'EADDRINUSE':
      return taken(where, port, await portHolder(port, proc))
    case 'EACCES':
      return problem(`${where} needs more rights than this user has.`, 'Take a port from 1024 up, such as 1883.')
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return problem(
        `${host} is no address of this machine.`,
        "Set the listener's host to 0.0.0.0 for everybody, or 127.0.0.1 for this machine alone."
      )
    default:
      return problem(`${where} cannot be had (${code}).`, 'Check host and port of the listener.')
  }
}

function taken(where: string, port: number, holder: Holder | undefined): Finding {
  if (holder === undefined) {
    return problem(
      `${where} is in use by a program of another user.`,
      `"sudo artemis doctor" or "sudo ss -ltnp sport = ${port}" shows which; often it is mosquitto: "sudo systemctl stop mosquitto".`
    )
  }
  const who = `${printable(holder.name)} (process ${holder.pid})`
  // Node calls itself `node`, whatever it runs.
  if (/artemis|broker\/main\.js/.test(holder.command))
    return note(`${where} is held by an Artemis that runs already, ${who}.`)
  if (holder.name === 'mosquitto') {
    return problem(
      `${where} is in use by mosquitto (process ${holder.pid}).`,
      'Stop it with "sudo systemctl disable --now mosquitto", or give Artemis another port: --port.'
    )
  }
  return problem(`${where} is in use by ${who}.`, 'Stop that program, or give Artemis another port: --port.')
}

async function refusalOf(host: string, port: number): Promise<string | undefined> {
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
