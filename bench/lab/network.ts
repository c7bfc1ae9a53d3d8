// Networks of our own for measurements: hosts in network namespaces, joined by Ethernet, gone when we are.

import { execFile, execFileSync, spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Namespaces are called `artemis-PID-NAME`, so that what a killed run left can be told from what is in use. */
const PREFIX = 'artemis-'
const NAMESPACES = '/run/netns'
const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP']
/** What makes frames larger than the link, or leaves checksums to hardware that is not there. */
const OFFLOADS = ['tso', 'gso', 'gro', 'tx', 'rx'].flatMap(feature => [feature, 'off'])
const MTU_BYTES = 1_500
const END_TIMEOUT_MS = 2_000

/** A machine of the network: a namespace, and what runs in it. */
export class Host {
  /** As `ip netns` calls it. */
  readonly namespace: string
  readonly #children = new Set<ChildProcess>()

  constructor(
    /** As the program that made it calls it; also of a switch. */
    readonly name: string,
    /** Set where the host is a switch: other hosts may be plugged in. */
    readonly bridge?: string
  ) {
    this.namespace = `${PREFIX}${process.pid}-${name}`
  }

  /** The program and arguments by which `args` run here; no shell comes between. */
  command(program: string, args: readonly string[]): [string, string[]] {
    return ['ip', ['netns', 'exec', this.namespace, program, ...args]]
  }

  /** Starts a program here; it ends with the network at the latest. The child's pid is the program's own. */
  spawn(program: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const child = spawn(...this.command(program, args), options)
    this.own(child)
    return child
  }

  /** Has a process end with this host that was started elsewhere. */
  own(child: ChildProcess): void {
    this.#children.add(child)
    child.once('exit', () => {
      this.#children.delete(child)
    })
  }

  /** Runs a program here to its end and gives its standard output; throws where it fails. */
  async run(program: string, args: readonly string[]): Promise<string> {
    return (await run(...this.command(program, args))).stdout
  }

  /** Gives an interface addresses such as `10.0.0.1/24` or `fd00::1/64`. */
  async address(device: string, addresses: readonly string[]): Promise<void> {
    for (const address of addresses) {
      // Without waiting for a duplicate to answer, as IPv6 does otherwise.
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

  /** The Ethernet address of an interface, such as `02:00:00:00:00:01`. */
  async hardwareAddress(device: string): Promise<string> {
    const { stdout } = await run('ip', ['-n', this.namespace, '-json', 'link', 'show', 'dev', device])
    return (JSON.parse(stdout) as { address: string }[])[0].address
  }

  /** Brings a new interface up, with frames no larger than the link; on a switch, plugs it in. */
  async raise(device: string): Promise<void> {
    await this.run('ethtool', ['-K', device, ...OFFLOADS])
    const master = this.bridge === undefined ? [] : ['master', this.bridge]
    await run('ip', ['-n', this.namespace, 'link', 'set', 'dev', device, ...master, 'mtu', String(MTU_BYTES), 'up'])
  }

  /** Ends what runs here, politely at first. */
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

  /** Ends at once what runs here and removes the namespace; synchronous, for whoever has no time left. */
  remove(): void {
    for (const child of this.#children) child.kill('SIGKILL')
    removeNamespace(this.namespace)
  }
}

/**
 * Hosts and switches. Needs root, iproute2 and ethtool. On SIGINT, SIGTERM, SIGHUP and at the process's
 * end everything is removed; what a killed process left, the next one removes.
 */
export class Network {
  readonly #hosts: Host[] = []
  readonly #onExit = (): void => {
    this.#remove()
  }
  readonly #onSignal = (signal: NodeJS.Signals): void => {
    this.#remove()
    // Whoever listens, too, decides how to end; otherwise the signal shall do what it does by itself.
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal)
  }

  constructor() {
    removeAbandoned()
    process.once('exit', this.#onExit)
    for (const signal of SIGNALS) process.prependOnceListener(signal, this.#onSignal)
  }

  /** Makes a host that has nothing but loopback. `name`: letters and digits, once in the process. */
  async addHost(name: string): Promise<Host> {
    return await this.#add(new Host(name))
  }

  /** Makes a switch, into which hosts are plugged by {@link Network.connect}. */
  async addSwitch(name: string): Promise<Host> {
    const made = await this.#add(new Host(name, 'br0'))
    await run('ip', ['-n', made.namespace, 'link', 'add', 'br0', 'type', 'bridge'])
    await run('ip', ['-n', made.namespace, 'link', 'set', 'br0', 'up'])
    return made
  }

  /**
   * Lays a cable of 1,500 bytes MTU between two hosts, or a host and a switch.
   *
   * @param addresses of the first end, with prefix length
   * @returns the interface's name at the first end; at the other it is called as the first host
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
    await from.raise(near)
    await to.raise(far)
    await from.address(near, addresses)
    await to.address(far, farAddresses)
    return near
  }

  /** Ends everything that runs in the network and removes it. */
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

/** Why this machine cannot have such networks, or false where it can. */
export function networkMissing(): string | false {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'network namespaces need root on Linux'
  try {
    execFileSync('ip', ['netns', 'list'], { stdio: 'ignore' })
    execFileSync('ethtool', ['--version'], { stdio: 'ignore' })
    return false
  } catch {
    return 'ip or ethtool is not installed: apt-get install iproute2 ethtool'
  }
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null && child.pid !== undefined
}

/** All that runs in a namespace of ours was started by us: it goes, too. */
function removeNamespace(namespace: string): void {
  if (!namespaces().includes(namespace)) return
  const pids = execFileSync('ip', ['netns', 'pids', namespace], { encoding: 'utf8' })
    .split('\n')
    .filter(pid => pid !== '')
  for (const pid of pids) {
    try {
      process.kill(Number(pid), 'SIGKILL')
    } catch {
      /* It ended in between. */
    }
  }
  execFileSync('ip', ['netns', 'delete', namespace])
}

function namespaces(): string[] {
  try {
    return readdirSync(NAMESPACES).filter(name => name.startsWith(PREFIX))
  } catch {
    // Made with the first namespace.
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
