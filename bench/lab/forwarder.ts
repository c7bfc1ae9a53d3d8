// A bad link between two hosts of a network: every IP packet passes through this process, or does not.

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
  /** A host, or a switch into which the link is plugged. */
  host: Host
  /** Of the interface, with prefix length; none on a switch. */
  addresses?: readonly string[]
}

/** The two ends: `a`, where the attackers or devices are, say, and `b`, where the broker is. */
export type Side = 'a' | 'b'

/** A link. */
export interface ForwarderOptions {
  a: ForwarderEnd
  b: ForwarderEnd
  /** How bad it is from a to b, and from b to a. */
  toB?: ImpairmentOptions
  toA?: ImpairmentOptions
  seed?: number
  /** The interface's name at both ends. */
  device?: string
}

const DEFAULT_DEVICE = 'link0'
const START_TIMEOUT_MS = 5_000
const ATTEMPTS = 3
const RECEIVE_BUFFER_BYTES = 8_388_608
const ETHERNET_HEADER_BYTES = 14
const IPV4 = 0x0800
const IPV6 = 0x86dd
/** Where injected frames seem to come from: locally administered, nobody's. */
const NOBODY = Buffer.from('02000000aa01', 'hex')

let links = 0

/**
 * A link between two hosts through this process: an Ethernet interface at each end, whose frames socat
 * brings here as one datagram each and takes back. What is not IP (ARP) passes unharmed.
 */
export class Forwarder {
  readonly #ends: Record<Side, End>
  readonly #impairments: Record<Side, Impairment>

  private constructor(ends: Record<Side, End>, impairments: Record<Side, Impairment>) {
    this.#ends = ends
    this.#impairments = impairments
  }

  /** Makes the interfaces; resolves when packets pass. Throws where socat or root is missing. */
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

  /** What became of the IP packets that were on their way to a side; those injected are not among them. */
  counters(side: Side): ImpairmentCounters {
    return { ...this.#impairments[side].counters }
  }

  /**
   * Sends a hand-made IP packet, its header included, to a side as if the other had sent it; nothing is
   * done to it on the way.
   *
   * @param hardwareAddress whom it is for; the interface at that end unless told, which on a switch would be nobody
   */
  inject(side: Side, packet: Uint8Array, hardwareAddress?: string): void {
    const end = this.#ends[side]
    const frame = Buffer.alloc(ETHERNET_HEADER_BYTES + packet.length)
    frame.set(hardwareAddress === undefined ? end.hardwareAddress : hardwareBytes(hardwareAddress), 0)
    frame.set(NOBODY, 6)
    frame.writeUInt16BE(packet[0] >> 4 === 6 ? IPV6 : IPV4, 12)
    frame.set(packet, ETHERNET_HEADER_BYTES)
    end.send(frame)
  }

  /** Removes the interfaces. Throws where one had gone before. */
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

/** An interface at a host and the datagrams that are its frames. */
class End {
  onFrame: (frame: Buffer) => void = () => {}
  #said = ''
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
    // While the far end goes away, datagrams are refused.
    socket.on('error', () => {})
    socat.stderr?.on('data', (chunk: Buffer) => {
      this.#said += chunk.toString()
    })
    this.#exited = socat.exitCode === null && socat.signalCode === null ? once(socat, 'exit') : Promise.resolve()
  }

  /**
   * @param passing the interface's name until it is in the host's namespace; at most 15 characters
   */
  static async open(end: ForwarderEnd, device: string, passing: string): Promise<End> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await End.#attempt(end, device, passing)
      } catch (error) {
        // Another process may have taken the port in between.
        if (attempt === ATTEMPTS) throw error
      }
    }
  }

  static async #attempt({ host, addresses = [] }: ForwarderEnd, device: string, passing: string): Promise<End> {
    const socket = await boundSocket()
    const port = await freeUdpPort()
    // socat stays in this namespace, where its datagrams reach us; only the interface moves.
    const socat = spawn(
      'socat',
      [
        `TUN,tun-type=tap,tun-name=${passing},iff-no-pi`,
        `UDP:127.0.0.1:${socket.address().port},bind=127.0.0.1:${port}`
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] }
    )
    socat.on('error', () => {})
    host.own(socat)
    try {
      await appears(passing, socat)
      await connected(socket, port)
      await run('ip', ['link', 'set', 'dev', passing, 'netns', host.namespace])
      await run('ip', ['-n', host.namespace, 'link', 'set', 'dev', passing, 'name', device])
      await host.raise(device)
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
    const died = this.#socat.exitCode !== null || this.#socat.signalCode !== null
    this.#socat.kill()
    await this.#exited
    this.#socket.close()
    if (died) throw new Error(`socat ended early: ${this.#said}`)
  }
}

async function boundSocket(): Promise<Socket> {
  const socket = createSocket({ type: 'udp4' })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  // The system gives as much of it as it allows.
  socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES)
  return socket
}

/** A port that was free a moment ago; should another take it, socat says so and ends. */
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

async function appears(device: string, socat: ChildProcess): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS
  while (!existsSync(`/sys/class/net/${device}`)) {
    const gone = socat.pid === undefined || socat.exitCode !== null
    if (gone || performance.now() > deadline)
      throw new Error('socat makes no interface: is it installed, and is this root?')
    await pause(5)
  }
}

function hardwareBytes(address: string): Buffer {
  return Buffer.from(address.replaceAll(':', ''), 'hex')
}
