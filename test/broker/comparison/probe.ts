// A client that records the responses and messages of a broker.

import { randomUUID } from 'node:crypto'
import mqtt, { type IClientOptions, type IConnackPacket, type MqttClient, type Packet } from 'mqtt'
import { waitUntil } from '../../support/wait-until.js'

/** Topic that every client of a case may read and write: a message on it shows that earlier messages have arrived. */
export const MARK = 'mark'

/** How a client connects; 3 is MQTT 3.1, 4 is 3.1.1. */
export interface ProbeOptions extends IClientOptions {
  port: number
  version?: 3 | 4 | 5
}

/** A client. */
export class Probe {
  /** Received messages as `topic payload qQOS`, with ` R` if the retain flag is set; without marks. */
  readonly received: string[] = []
  /** Reason code of a DISCONNECT, MQTT 5. */
  disconnected: number | undefined
  closed = false
  readonly #marks = new Set<string>()

  private constructor(
    readonly client: MqttClient,
    readonly connack: IConnackPacket
  ) {}

  /** Connects and disconnects; returns the code of the CONNACK, or `closed` without one. */
  static async connack(options: ProbeOptions): Promise<number | 'closed'> {
    const probe = await Probe.#open(options)
    if (probe === 'closed') return probe
    await probe.end()
    return codeOf(probe.connack)
  }

  /** Connects; throws if the broker refuses the connection. */
  static async connect(options: ProbeOptions): Promise<Probe> {
    const probe = await Probe.#open(options)
    if (probe === 'closed' || codeOf(probe.connack) !== 0)
      throw new Error(`refused: ${probe === 'closed' ? probe : codeOf(probe.connack)}`)
    return probe
  }

  static async #open({ version = 4, ...options }: ProbeOptions): Promise<Probe | 'closed'> {
    const client = mqtt.connect({
      host: '127.0.0.1',
      protocol: 'mqtt',
      reconnectPeriod: 0,
      protocolVersion: version,
      connectTimeout: 10_000,
      ...(version === 3 && { protocolId: 'MQIsdp' }),
      clientId: `probe-${randomUUID().slice(0, 8)}`,
      ...options
    })
    client.on('error', () => {})
    const early: Packet[] = []
    let probe: Probe | undefined
    return await new Promise(resolve => {
      client.on('packetreceive', packet => {
        if (packet.cmd === 'connack') {
          probe = new Probe(client, packet)
          resolve(probe)
        }
        if (probe === undefined) early.push(packet)
        else probe.#take(packet)
      })
      client.on('close', () => {
        if (probe !== undefined) probe.closed = true
        resolve('closed')
      })
    })
  }

  /** Subscribes; returns the codes of the SUBACK. */
  async subscribe(filters: string | string[], qos: 0 | 1 | 2 = 0): Promise<number[]> {
    const list = [filters].flat()
    return await new Promise((resolve, reject) => {
      const onPacket = (packet: Packet): void => {
        if (packet.cmd !== 'suback') return
        this.client.off('packetreceive', onPacket)
        resolve(packet.granted as number[])
      }
      this.client.on('packetreceive', onPacket)
      this.client.subscribe(list, { qos }, error => {
        if (error && error.message.includes('onnection')) reject(error)
      })
    })
  }

  /** Publishes; returns `ok`, the reason code of a refusal (MQTT 5), or `closed`. */
  async publish(
    topic: string,
    payload: string | Buffer = 'x',
    options: { qos?: 0 | 1 | 2; retain?: boolean } = {}
  ): Promise<'ok' | 'closed' | number> {
    return await new Promise(resolve => {
      const onClose = (): void => {
        resolve('closed')
      }
      this.client.once('close', onClose)
      this.client.publish(topic, payload, { qos: 1, ...options }, error => {
        this.client.off('close', onClose)
        if (!error) resolve('ok')
        else resolve('code' in error && typeof error.code === 'number' ? error.code : 'closed')
      })
    })
  }

  /** Waits until all messages that `writer` has published so far have arrived, if they are delivered at all. */
  async caughtUpWith(writer: Probe): Promise<string[]> {
    const mark = randomUUID()
    await writer.publish(MARK, mark)
    await waitUntil('the mark arrives', () => this.#marks.has(mark))
    return this.received
  }

  /** Closes the connection without a DISCONNECT, so that the will is published. */
  async vanish(): Promise<void> {
    this.client.stream.destroy()
    await waitUntil('the connection is closed', () => this.closed)
  }

  async end(): Promise<void> {
    if (!this.closed) await this.client.endAsync(codeOf(this.connack) !== 0)
  }

  #take(packet: Packet): void {
    if (packet.cmd === 'disconnect') this.disconnected = packet.reasonCode
    if (packet.cmd !== 'publish') return
    const payload = packet.payload.toString()
    if (packet.topic === MARK) this.#marks.add(payload)
    else this.received.push(`${packet.topic} ${payload.slice(0, 40)} q${packet.qos}${packet.retain ? ' R' : ''}`)
  }
}

function codeOf({ returnCode, reasonCode }: IConnackPacket): number {
  return reasonCode ?? returnCode ?? 0
}
