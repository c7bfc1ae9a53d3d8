// The ports that clients connect to: taken first, answered when the broker is ready.

import net, { type AddressInfo, type Server, type Socket } from 'node:net'
import type { Logger } from 'pino'
import { OperatorError } from '../src/errors.js'
import type { Settings } from './config/schema.js'

type ListenerSettings = Settings['listeners'][number]

/** Connections that may wait while the broker starts; further ones are closed. */
const MAX_WAITING = 1000

/** The broker's open ports. */
export class Listeners {
  private readonly servers: Server[] = []
  private readonly sockets = new Set<Socket>()
  private readonly waiting: Socket[] = []
  private handler: ((socket: Socket) => void) | undefined

  private constructor (private readonly log: Logger) {}

  /**
   * Takes all ports. Connections wait unread until {@link accept}.
   * @throws OperatorError `listen` where a port cannot be had; then none stays taken.
   */
  static async open (settings: readonly ListenerSettings[], log: Logger): Promise<Listeners> {
    const listeners = new Listeners(log)
    try {
      for (const one of settings) await listeners.listen(one)
      return listeners
    } catch (error) {
      listeners.close()
      throw error
    }
  }

  /** Where the broker listens: the ports in fact, also where 0 was asked for. */
  get addresses (): AddressInfo[] {
    return this.servers.map(server => server.address() as AddressInfo)
  }

  /** Hands every connection to `handler`, from the first that waited. */
  accept (handler: (socket: Socket) => void): void {
    this.handler = handler
    for (const socket of this.waiting.splice(0)) if (!socket.destroyed) handler(socket)
  }

  /** Takes no more connections; those that are open stay. */
  close (): void {
    for (const server of this.servers) server.close()
    for (const socket of this.waiting.splice(0)) socket.destroy()
  }

  /** Takes no more connections and ends those that are open. */
  destroy (): void {
    this.close()
    for (const socket of this.sockets) socket.destroy()
  }

  private async listen ({ host, port }: ListenerSettings): Promise<void> {
    // Nagle would hold acknowledgements back; keep-alive finds peers that went without a word.
    const server = net.createServer({ pauseOnConnect: true, noDelay: true, keepAlive: true })
    server.on('connection', socket => this.connected(socket))
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(host, port, error)))
      server.listen({ host, port, exclusive: true }, resolve)
    })
    server.removeAllListeners('error')
    server.on('error', error => this.log.error({ err: error, host, port }, 'A connection could not be taken.'))
    this.servers.push(server)
  }

  private connected (socket: Socket): void {
    this.sockets.add(socket)
    socket.once('close', () => this.sockets.delete(socket))
    if (this.handler !== undefined) {
      this.handler(socket)
      return
    }
    // Whoever leaves while waiting is no fault of the broker.
    socket.on('error', () => socket.destroy())
    if (this.waiting.length < MAX_WAITING) this.waiting.push(socket)
    else socket.destroy()
  }
}

function listenError (host: string, port: number, cause: NodeJS.ErrnoException): OperatorError {
  const where = `port ${port} on ${host}`
  if (cause.code === 'EADDRINUSE') {
    return new OperatorError('listen', `Cannot listen: ${where} is in use by another program.`,
      `Often that is mosquitto ("sudo systemctl stop mosquitto" stops it) or another Artemis. Or take another port: --port ${port + 1}.`, { cause })
  }
  if (cause.code === 'EACCES') {
    return new OperatorError('listen', `Cannot listen: ${where} needs more rights than this user has.`,
      'Take a port from 1024 up, such as --port 1883.', { cause })
  }
  if (cause.code === 'EADDRNOTAVAIL' || cause.code === 'ENOTFOUND') {
    return new OperatorError('listen', `Cannot listen: ${host} is no address of this machine.`,
      'Use 127.0.0.1 for this machine alone or 0.0.0.0 for everybody; "ip address" lists what there is.', { cause })
  }
  return new OperatorError('listen', `Cannot listen: ${where}: ${cause.code ?? cause.message}.`, 'Check host and port.', { cause })
}
