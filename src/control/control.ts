// Takes control requests over MQTT and answers whoever asks; nobody else hears of either.

import type { Aedes, Client } from 'aedes'
import { OperatorError } from '../errors.js'
import { CONTROL_TOPIC_PREFIX } from '../join/own-traffic.js'
import type { ObservedConnection, Observer } from '../observe/observer.js'
import { COMMANDS, type Controlled } from './commands.js'
import { readRequest, type ControlCommand, type ControlResponse } from './request.js'

/** Where requests go and answers come from. */
export const CONTROL_TOPICS = Object.freeze({
  request: `${CONTROL_TOPIC_PREFIX}v1`,
  response: `${CONTROL_TOPIC_PREFIX}v1/response`
})

/** All that brokers are asked by; none of it is for other clients. */
const RESERVED_PREFIX = '$CONTROL/'

/** Who asks. */
export type Requester = Pick<
  ObservedConnection,
  'client' | 'announced' | 'broker' | 'transport' | 'clientId' | 'username'
>

/**
 * Whether a client may control the detection; asked after the broker's own `authorizePublish` has let its request
 * through.
 * It is given the client itself, since while one takes over the session of another two have the same id.
 */
export type AuthorizeControl = (asker: Requester, client: Client) => boolean

/** What the status shows of it. */
export interface ControlCounters {
  requests: number
  /** Requests of clients that may not ask. */
  refused: number
}

type PublishPacket = Parameters<Aedes['publish']>[0]
type Done = (error?: Error) => void
type Hooks = Pick<Aedes, 'authorizePublish' | 'authorizeForward'> & {
  publish: (packet: PublishPacket, client: object | null | Done, done: Done) => void
}

/** Stands before the hook that lets messages in, and before the method that hands them on. */
export class Control {
  readonly counters: ControlCounters = { requests: 0, refused: 0 }
  readonly #found: Hooks
  readonly #own: Hooks
  readonly #aedes: Aedes
  readonly #observer: Observer
  readonly #on: Controlled
  readonly #authorize: AuthorizeControl
  readonly #onError: (error: Error) => void

  constructor(
    aedes: Aedes,
    observer: Observer,
    on: Controlled,
    authorize: AuthorizeControl,
    onError: (error: Error) => void
  ) {
    this.#aedes = aedes
    this.#observer = observer
    this.#on = on
    this.#authorize = authorize
    this.#onError = onError
    const { authorizePublish, authorizeForward, publish } = aedes as Hooks
    this.#found = { authorizePublish, authorizeForward, publish }
    this.#own = {
      authorizePublish: this.#authorizePublish,
      authorizeForward: this.#authorizeForward,
      publish: this.#publish
    }
    Object.assign(aedes, this.#own)
  }

  /** Gives the hooks back. */
  remove(): void {
    const aedes = this.#aedes
    const found = this.#found
    const own = this.#own
    for (const name of Object.keys(found) as (keyof Hooks)[])
      if (aedes[name] === own[name]) Object.assign(aedes, { [name]: found[name] })
  }

  readonly #authorizePublish: Hooks['authorizePublish'] = (client, packet, callback) => {
    const isForeign = packet.topic.startsWith(RESERVED_PREFIX) && packet.topic !== CONTROL_TOPICS.request
    if (isForeign && client !== null) callback(new Error(`${RESERVED_PREFIX} topics are reserved`))
    else this.#found.authorizePublish.call(this.#aedes, client, packet, callback)
  }

  /** Who may ask may hear the answer; nobody else is ever sent one. */
  readonly #authorizeForward: Hooks['authorizeForward'] = (client, packet) =>
    packet.topic === CONTROL_TOPICS.response ? packet : this.#found.authorizeForward.call(this.#aedes, client, packet)

  /** A request ends here: it is not retained, not stored, and reaches no subscriber. */
  readonly #publish = (packet: PublishPacket, client: object | null | Done, done: Done = () => {}): void => {
    if (packet.topic !== CONTROL_TOPICS.request) {
      this.#found.publish.call(this.#aedes, packet, client, done)
      return
    }
    if (typeof client === 'function') {
      ;(client as Done)()
      return
    }
    // Without a client it is a will, and nobody waits for the answer.
    if (client !== null) void this.#answer(client as Client, packet)
    done()
  }

  async #answer(client: Client, packet: PublishPacket): Promise<void> {
    const responses = await this.#responsesTo(client, packet)
    const correlation = packet.properties?.correlationData
    const answer: PublishPacket & { brokerId: string } = {
      cmd: 'publish',
      topic: CONTROL_TOPICS.response,
      payload: Buffer.from(JSON.stringify({ responses })),
      qos: 0,
      retain: false,
      dup: false,
      brokerId: `${this.#aedes.id}/artemis`,
      ...(correlation !== undefined && { properties: { correlationData: correlation } })
    }
    client.publish(answer, error => {
      if (error) this.#onError(error)
    })
  }

  async #responsesTo(client: Client, { payload }: PublishPacket): Promise<ControlResponse[]> {
    const connection = this.#observer.of(client.conn)
    if (connection === undefined || !this.#authorize(connection, client)) {
      this.counters.refused++
      return [
        {
          error: 'This client may not control the broker.',
          remedy: "Ask from the broker's own machine, or as a user whom its access rules let write here."
        }
      ]
    }
    this.counters.requests++
    try {
      const responses: ControlResponse[] = []
      for (const command of readRequest(Buffer.from(payload)))
        responses.push(await this.#responseTo(command, connection))
      return responses
    } catch (error) {
      return [this.#refusal(error)]
    }
  }

  async #responseTo(command: ControlCommand, asker: ObservedConnection): Promise<ControlResponse> {
    const { command: name, correlationData } = command
    const head = { command: name, ...(correlationData !== undefined && { correlationData }) }
    const doing = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
    if (doing === undefined)
      return { ...head, error: 'There is no such command', remedy: `There are ${Object.keys(COMMANDS).join(', ')}.` }
    try {
      const data = await doing(command, this.#on, asker)
      // What is confirmed outlasts a crash.
      await this.#on.saved()
      return { ...head, data }
    } catch (error) {
      return { ...head, ...this.#refusal(error) }
    }
  }

  /** A fault of ours is told to the log; it must not take the broker with it. */
  #refusal(error: unknown): ControlResponse {
    if (!(error instanceof OperatorError)) {
      this.#onError(error instanceof Error ? error : new Error(String(error)))
      return { error: 'The command failed', remedy: 'The log of the broker says why.' }
    }
    const { message, remedy } = error
    return { error: message, ...(remedy !== undefined && { remedy }) }
  }
}
