// An impaired link between two hosts: every IP packet passes through this process, which may drop, duplicate or delay
// it.

import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'
import { setTimeout as pause } from 'node:timers/promises'
import { Impairment, type ImpairmentCounters, type ImpairmentOptions } from './impairment.js'
import type { Host } from './network.js'

const run = promisify(execFile)

/** One end of the link. */
export interface ForwarderEnd {
  /** A host, or a switch to which the link is connected. */
  host: Host
  /** Addresses of the interface, with prefix length; none on a switch. */
  addresses?: readonly string[]
}

/** The two ends: `a` for devices or attackers, `b` for the broker. */
export type Side = 'a' | 'b'

export interface ForwarderOptions {
  a: ForwarderEnd
  b: ForwarderEnd
  /** Impairment from a to b, and from b to a. */
  toB?: ImpairmentOptions
  toA?: ImpairmentOptions
  seed?: number
  /** Interface name at both ends. */
  device?: string
}

const DEFAULT_DEVICE = 'link0'
const START_TIMEOUT_MS = 5_000
const ATTEMPTS = 3
const RECEIVE_BUFFER_BYTES = 8_388_608
const ETHERNET_HEADER_BYTES = 14
const IPV4 = 0x0800
const IPV6 = 0x86dd
/** Source address of injected frames: locally administered, unused. */
const UNUSED_ADDRESS = Buffer.from('02000000aa01', 'hex')

let links = 0

/**
 * A link between two hosts through this process: an Ethernet interface at each end, whose frames socat exchanges with
 * this process as one datagram each. Frames other than IP (ARP) pass unchanged.
 */
export class Forwarder {
  readonly #ends: Record<Side, End>
  readonly #impairments: Record<Side, Impairment>

  private constructor(ends: Record<Side, End>, impairments: Record<Side, Impairment>) {
    this.#ends = ends
    this.#impairments = impairments
  }

  /** Creates the interfaces; resolves when packets can pass. Throws without socat or root. */
  static async open(options: ForwarderOptions): Promise<Forwarder> {
    const { device = DEFAULT_DEVICE, seed = 1 } = options
    const link = links++
    const a = await End.open(options.a, device, `art${process.pid.toString(36)}a${link.toString(36)}`)
    const b = await End.open(options.b, device, `art${process.pid.toString(36)}b${link.toString(36)}`).catch(
      async (error: unknown) => {
        await a.close()
        throw error
      }
    )
    const impairments = {
      b: new Impairment(options.toB ?? {}, 2 * seed, frame => {
        b.send(frame)
      }),
      a: new Impairment(options.toA ?? {}, 2 * seed + 1, frame => {
        a.send(frame)
      })
    }
    a.onFrame = frame => {
      forward(frame, impairments.b, b)
    }
    b.onFrame = frame => {
      forward(frame, impairments.a, a)
    }
    return new Forwarder({ a, b }, impairments)
  }

  /** Returns the counters of IP packets towards a side, without injected ones. */
  counters(side: Side): ImpairmentCounters {
    return { ...this.#impairments[side].counters }
  }

  /**
   * Sends a crafted IP packet, with its header, to a side as if the other side had sent it. It is not impaired.
   *
   * @param hardwareAddress destination; by default the interface at that end, which is wrong on a switch
   */
  inject(side: Side, packet: Uint8Array, hardwareAddress?: string): void {
    const end = this.#ends[side]
    const frame = Buffer.alloc(ETHERNET_HEADER_BYTES + packet.length)
    frame.set(hardwareAddress === undefined ? end.hardwareAddress : hardwareBytes(hardwareAddress), 0)
    frame.set(UNUSED_ADDRESS, 6)
    frame.writeUInt16BE(packet[0] >> 4 === 6 ? IPV6 : IPV4, 12)
    frame.set(packet, ETHERNET_HEADER_BYTES)
    end.send(frame)
  }

  /** Removes the interfaces. Throws if socat exited early. */
  async close(): Promise<void> {
    for (const impairment of Object.values(this.#impairments)) impairment.close()
    await Promise.all(
      Object.values(this.#ends).map(async end => {
        await end.close()
      })
    )
  }
}

function forward(frame: Buffer, impairment: Impairment, to: End): void {
  const type = frame.length < ETHERNET_HEADER_BYTES ? 0 : frame.readUInt16BE(12)
  if (type === IPV4 || type === IPV6) impairment.take(frame)
  else to.send(frame)
}

/** One end: an interface, and the UDP socket that carries its frames. */
class End {
  onFrame: (frame: Buffer) => void = () => {}
  #stderr = ''
  #closing = false
  readonly #exited: Promise<unknown>
  readonly #socket: Socket
  readonly #socat: ChildProcess

  private constructor(
    readonly hardwareAddress: Buffer,
    socket: Socket,
    socat: ChildProcess
  ) {
    this.#socket = socket
    this.#socat = socat
    socket.on('message', frame => {
      this.onFrame(frame)
    })
    // Datagrams are refused while the other end closes.
    socket.on('error', () => {})
    socat.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr += chunk.toString()
    })
    this.#exited = socat.exitCode === null && socat.signalCode === null ? once(socat, 'exit') : Promise.resolve()
  }

  /** @param temporaryName temporary interface name, until it is in the host's namespace; at most 15 characters */
  static async open(end: ForwarderEnd, device: string, temporaryName: string): Promise<End> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await End.#attempt(end, device, temporaryName)
      } catch (error) {
        // Retry: another process may have taken the port.
        if (attempt === ATTEMPTS) throw error
      }
    }
  }

  static async #attempt({ host, addresses = [] }: ForwarderEnd, device: string, temporaryName: string): Promise<End> {
    const socket = await boundSocket()
    const port = await freeUdpPort()
    // socat stays in this namespace, so that its datagrams reach us; only the interface moves.
    const socat = spawn(
      'socat',
      [
        `TUN,tun-type=tap,tun-name=${temporaryName},iff-no-pi`,
        `UDP:127.0.0.1:${socket.address().port},bind=127.0.0.1:${port}`
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] }
    )
    socat.on('error', () => {})
    host.adopt(socat)
    try {
      await waitForInterface(temporaryName, socat)
      await connected(socket, port)
      await run('ip', ['link', 'set', 'dev', temporaryName, 'netns', host.namespace])
      await run('ip', ['-n', host.namespace, 'link', 'set', 'dev', temporaryName, 'name', device])
      await host.setUp(device)
      await host.address(device, addresses)
      return new End(hardwareBytes(await host.hardwareAddress(device)), socket, socat)
    } catch (error) {
      socat.kill()
      socket.close()
      throw error
    }
  }

  send(frame: Buffer): void {
    if (!this.#closing) this.#socket.send(frame)
  }

  async close(): Promise<void> {
    this.#closing = true
    const exitedEarly = this.#socat.exitCode !== null || this.#socat.signalCode !== null
    this.#socat.kill()
    await this.#exited
    this.#socket.close()
    if (exitedEarly) throw new Error(`socat exited early: ${this.#stderr}`)
  }
}

async function boundSocket(): Promise<Socket> {
  const socket = createSocket({ type: 'udp4' })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  // The system may limit the size.
  socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES)
  return socket
}

/** Returns a port that is currently free; socat fails if another process takes it. */
async function freeUdpPort(): Promise<number> {
  const probe = await boundSocket()
  const { port } = probe.address()
  probe.close()
  await once(probe, 'close')
  return port
}

async function connected(socket: Socket, port: number): Promise<void> {
  socket.connect(port, '127.0.0.1')
  await once(socket, 'connect')
}

async function waitForInterface(device: string, socat: ChildProcess): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS
  while (!existsSync(`/sys/class/net/${device}`)) {
    const isExited = socat.pid === undefined || socat.exitCode !== null
    if (isExited || performance.now() > deadline)
      throw new Error('socat did not create the interface. Check that socat is installed and that you are root.')
    await pause(5)
  }
}

function hardwareBytes(address: string): Buffer {
  return Buffer.from(address.replaceAll(':', ''), 'hex')
}
