// Test networks: hosts in network namespaces, connected by Ethernet, removed when the process exits.

import { execFile, execFileSync, spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Namespaces are named `artemis-PID-NAME`, so that leftovers of killed processes can be identified. */
const PREFIX = 'artemis-'
const NAMESPACES = '/run/netns'
const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP']
/** Offloads that make frames larger than the MTU, or leave checksums to missing hardware. */
const OFFLOADS = ['tso', 'gso', 'gro', 'tx', 'rx'].flatMap(feature => [feature, 'off'])
const MTU_BYTES = 1_500
const END_TIMEOUT_MS = 2_000

/** A host of the network: a namespace and its processes. */
export class Host {
  /** Name for `ip netns`. */
  readonly namespace: string
  readonly #children = new Set<ChildProcess>()

  constructor(
    /** Name given by the caller, also of a switch. */
    readonly name: string,
    /** Bridge device, if the host is a switch. */
    readonly bridge?: string
  ) {
    this.namespace = `${PREFIX}${process.pid}-${name}`
  }

  /** Returns the command that runs a program here, without a shell. */
  command(program: string, args: readonly string[]): [string, string[]] {
    return ['ip', ['netns', 'exec', this.namespace, program, ...args]]
  }

  /** Starts a program here; it is stopped with the network at the latest. The child's pid is that of the program. */
  spawn(program: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const child = spawn(...this.command(program, args), options)
    this.adopt(child)
    return child
  }

  /** Registers a process that was started elsewhere, to stop it with this host. */
  adopt(child: ChildProcess): void {
    this.#children.add(child)
    child.once('exit', () => {
      this.#children.delete(child)
    })
  }

  /** Runs a program here and returns its standard output; throws if it fails. */
  async run(program: string, args: readonly string[]): Promise<string> {
    return (await run(...this.command(program, args))).stdout
  }

  /** Adds addresses such as `10.0.0.1/24` or `fd00::1/64` to an interface. */
  async address(device: string, addresses: readonly string[]): Promise<void> {
    for (const address of addresses) {
      // Skip IPv6 duplicate address detection.
      await run('ip', [
        '-n',
        this.namespace,
        'address',
        'add',
        address,
        'dev',
        device,
        ...(address.includes(':') ? ['nodad'] : [])
      ])
    }
  }

  /** Returns the Ethernet address of an interface, such as `02:00:00:00:00:01`. */
  async hardwareAddress(device: string): Promise<string> {
    const { stdout } = await run('ip', ['-n', this.namespace, '-json', 'link', 'show', 'dev', device])
    return (JSON.parse(stdout) as { address: string }[])[0].address
  }

  /** Brings an interface up, with offloads off and the MTU set; on a switch, connects it to the bridge. */
  async setUp(device: string): Promise<void> {
    await this.run('ethtool', ['-K', device, ...OFFLOADS])
    const master = this.bridge === undefined ? [] : ['master', this.bridge]
    await run('ip', ['-n', this.namespace, 'link', 'set', 'dev', device, ...master, 'mtu', String(MTU_BYTES), 'up'])
  }

  /** Stops all processes, first with SIGTERM. */
  async end(): Promise<void> {
    const running = [...this.#children]
    for (const child of running) child.kill('SIGTERM')
    const ended = Promise.all(
      running.filter(isRunning).map(async child => {
        await once(child, 'exit')
      })
    )
    await Promise.race([ended, pause(END_TIMEOUT_MS, undefined, { ref: false })])
    this.remove()
  }

  /** Kills all processes and removes the namespace. Synchronous, for exit handlers. */
  remove(): void {
    for (const child of this.#children) child.kill('SIGKILL')
    removeNamespace(this.namespace)
  }
}

/**
 * A network of hosts and switches. Requires root, iproute2 and ethtool. Everything is removed on SIGINT, SIGTERM,
 * SIGHUP and exit. The next process removes what a killed one left.
 */
export class Network {
  readonly #hosts: Host[] = []
  readonly #onExit = (): void => {
    this.#remove()
  }
  readonly #onSignal = (signal: NodeJS.Signals): void => {
    this.#remove()
    // Other listeners decide how to exit; without any, apply the default action.
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal)
  }

  constructor() {
    removeAbandoned()
    process.once('exit', this.#onExit)
    for (const signal of SIGNALS) process.prependOnceListener(signal, this.#onSignal)
  }

  /** Creates a host with loopback only. `name`: letters and digits, unique in the process. */
  async addHost(name: string): Promise<Host> {
    return await this.#add(new Host(name))
  }

  /** Creates a switch, to which {@link Network.connect} connects hosts. */
  async addSwitch(name: string): Promise<Host> {
    const made = await this.#add(new Host(name, 'br0'))
    await run('ip', ['-n', made.namespace, 'link', 'add', 'br0', 'type', 'bridge'])
    await run('ip', ['-n', made.namespace, 'link', 'set', 'br0', 'up'])
    return made
  }

  /**
   * Connects two hosts, or a host and a switch, with an MTU of 1,500 bytes.
   *
   * @param addresses of the first end, with prefix length
   * @returns the interface name at the first end; at the other end it is the name of the first host
   */
  async connect(
    from: Host,
    to: Host,
    addresses: readonly string[] = [],
    farAddresses: readonly string[] = []
  ): Promise<string> {
    const [near, far] = [to.name, from.name]
    await run('ip', [
      '-n',
      from.namespace,
      'link',
      'add',
      near,
      'type',
      'veth',
      'peer',
      'name',
      far,
      'netns',
      to.namespace
    ])
    await from.setUp(near)
    await to.setUp(far)
    await from.address(near, addresses)
    await to.address(far, farAddresses)
    return near
  }

  /** Stops all processes in the network and removes it. */
  async close(): Promise<void> {
    await Promise.all(
      this.#hosts.map(async host => {
        await host.end()
      })
    )
    this.#remove()
  }

  async #add(host: Host): Promise<Host> {
    await run('ip', ['netns', 'add', host.namespace])
    this.#hosts.push(host)
    await run('ip', ['-n', host.namespace, 'link', 'set', 'lo', 'up'])
    return host
  }

  #remove(): void {
    process.off('exit', this.#onExit)
    for (const signal of SIGNALS) process.off(signal, this.#onSignal)
    for (const host of this.#hosts.splice(0)) host.remove()
  }
}

/** Returns why this machine does not support such networks, or false if it does. */
export function networkMissing(): string | false {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'network namespaces require root on Linux'
  try {
    execFileSync('ip', ['netns', 'list'], { stdio: 'ignore' })
    execFileSync('ethtool', ['--version'], { stdio: 'ignore' })
    return false
  } catch {
    return 'ip or ethtool not found. On Debian, run: apt-get install iproute2 ethtool'
  }
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null && child.pid !== undefined
}

/** Kills all processes in the namespace, which we started. */
function removeNamespace(namespace: string): void {
  if (!namespaces().includes(namespace)) return
  const pids = execFileSync('ip', ['netns', 'pids', namespace], { encoding: 'utf8' })
    .split('\n')
    .filter(pid => pid !== '')
  for (const pid of pids) {
    try {
      process.kill(Number(pid), 'SIGKILL')
    } catch {
      /* The process exited meanwhile. */
    }
  }
  execFileSync('ip', ['netns', 'delete', namespace])
}

function namespaces(): string[] {
  try {
    return readdirSync(NAMESPACES).filter(name => name.startsWith(PREFIX))
  } catch {
    // The folder does not exist before the first namespace.
    return []
  }
}

function removeAbandoned(): void {
  for (const namespace of namespaces()) {
    const pid = Number(namespace.slice(PREFIX.length).split('-')[0])
    if (pid !== process.pid && !isAlive(pid)) removeNamespace(namespace)
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
