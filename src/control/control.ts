// Handles control requests over MQTT and sends each response to its requester only.

import type { Aedes, Client } from 'aedes'
import { OperatorError } from '../errors.js'
import { InstalledHooks } from '../hooks.js'
import { CONTROL_TOPIC_PREFIX } from '../join/own-traffic.js'
import type { ObservedConnection, Observer } from '../observe/observer.js'
import type { AuthorizeControl } from './authorization.js'
import { COMMANDS, type Controlled } from './commands.js'
import { readRequest, type ControlCommand, type ControlResponse } from './request.js'

/** Topics of requests and responses. */
export const CONTROL_TOPICS = Object.freeze({
  request: `${CONTROL_TOPIC_PREFIX}v1`,
  response: `${CONTROL_TOPIC_PREFIX}v1/response`
})

/** Prefix of all control topics; reserved. */
const RESERVED_PREFIX = '$CONTROL/'

/** Counters for the status. */
export interface ControlCounters {
  requests: number
  /** Requests of unauthorised clients. */
  refused: number
}

type PublishPacket = Parameters<Aedes['publish']>[0]
type Done = (error?: Error) => void
type Hooks = Pick<Aedes, 'authorizePublish' | 'authorizeForward'> & {
  publish: (packet: PublishPacket, client: object | null | Done, done: Done) => void
}

/** Wraps the hook that authorises messages, and the method that distributes them. */
export class Control {
  readonly counters: ControlCounters = { requests: 0, refused: 0 }
  readonly #hooks: InstalledHooks<Hooks>
  readonly #aedes: Aedes
  readonly #observer: Observer
  readonly #context: Controlled
  readonly #authorize: AuthorizeControl
  readonly #onError: (error: Error) => void

  constructor(
    aedes: Aedes,
    observer: Observer,
    context: Controlled,
    authorize: AuthorizeControl,
    onError: (error: Error) => void
  ) {
    this.#aedes = aedes
    this.#observer = observer
    this.#context = context
    this.#authorize = authorize
    this.#onError = onError
    this.#hooks = new InstalledHooks(aedes as Hooks, {
      authorizePublish: this.#authorizePublish,
      authorizeForward: this.#authorizeForward,
      publish: this.#publish
    })
  }

  /** Restores the hooks. */
  remove(): void {
    this.#hooks.remove()
  }

  readonly #authorizePublish: Hooks['authorizePublish'] = (client, packet, callback) => {
    const isForeign = packet.topic.startsWith(RESERVED_PREFIX) && packet.topic !== CONTROL_TOPICS.request
    if (isForeign && client !== null) callback(new Error(`${RESERVED_PREFIX} topics are reserved`))
    else this.#hooks.original.authorizePublish.call(this.#aedes, client, packet, callback)
  }

  /** Responses skip the other hooks, because only the authorised requester is sent one. */
  readonly #authorizeForward: Hooks['authorizeForward'] = (client, packet) =>
    packet.topic === CONTROL_TOPICS.response
      ? packet
      : this.#hooks.original.authorizeForward.call(this.#aedes, client, packet)

  /** Consumes requests: they are not retained, not stored, and not forwarded to subscribers. */
  readonly #publish = (packet: PublishPacket, client: object | null | Done, done: Done = () => {}): void => {
    if (packet.topic !== CONTROL_TOPICS.request) {
      this.#hooks.original.publish.call(this.#aedes, packet, client, done)
      return
    }
    if (typeof client === 'function') {
      ;(client as Done)()
      return
    }
    // A will has no client to respond to.
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
          remedy: "Connect from the broker's machine, or as a user with write access to this topic."
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

  async #responseTo(command: ControlCommand, requester: ObservedConnection): Promise<ControlResponse> {
    const { command: name, correlationData } = command
    const head = { command: name, ...(correlationData !== undefined && { correlationData }) }
    const handler = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
    if (handler === undefined)
      return { ...head, error: 'Unknown command', remedy: `Commands: ${Object.keys(COMMANDS).join(', ')}.` }
    try {
      const data = await handler(command, this.#context, requester)
      // Confirm only what survives a crash.
      await this.#context.saved()
      return { ...head, data }
    } catch (error) {
      return { ...head, ...this.#refusal(error) }
    }
  }

  /** Converts an error to a response. Logs internal errors, which must not stop the broker. */
  #refusal(error: unknown): ControlResponse {
    if (!(error instanceof OperatorError)) {
      this.#onError(error instanceof Error ? error : new Error(String(error)))
      return { error: 'The command failed', remedy: "Check the broker's log." }
    }
    const { message, remedy } = error
    return { error: message, ...(remedy !== undefined && { remedy }) }
  }
}
