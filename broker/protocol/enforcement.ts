// Stands before the parser of each client: what MQTT forbids ends the connection, and a client of MQTT 5 learns why.

import type { Aedes, Client } from 'aedes'
import { IDENTIFIER_NOT_VALID, MALFORMED_PACKET, ProtocolFault, UNSUPPORTED_VERSION } from './fault.js'
import { faultOf, type Agreed, type IncomingPacket } from './packet-checks.js'

/** The parts of a client that Aedes and its parser do not declare. */
interface ClientInternals {
  broker: NodeJS.EventEmitter
  connackSent: boolean
  pause: () => void
  _parser: ParserInternals
}

interface ParserInternals extends NodeJS.EventEmitter {
  /** What is being read; its length is that of its body. */
  packet: Omit<IncomingPacket, 'body'> & { length: number }
  /** The CONNECT that came. */
  settings: Agreed
  error: Error | null
  /** What has come and is not read yet, the body first. */
  _list: ReceivedBytes
  _parsePayload: () => boolean | undefined
  _emitError: (error: Error) => void
}

interface ReceivedBytes {
  length: number
  slice: (start: number, end: number) => Buffer
  shallowSlice: (start: number, end: number) => ReceivedBytes
}

/** Return codes with which a CONNACK before MQTT 5 says so [MQTT-3.2.2-6]. */
const RETURN_CODES: ReadonlyMap<number, number> = new Map([[UNSUPPORTED_VERSION, 1], [IDENTIFIER_NOT_VALID, 2]])
const CONNACK = [0x20, 2, 0]

/** To be called before the broker listens. */
export function enforceProtocol (aedes: Aedes): void {
  const { handle } = aedes
  aedes.handle = (connection, request) => {
    const client = handle(connection, request)
    enforceOn(client)
    return client
  }
}

function enforceOn (client: Client): void {
  const { _parser: parser } = client as unknown as ClientInternals
  const parse = parser._parsePayload.bind(parser)
  parser._parsePayload = () => {
    const { packet: { cmd, qos, dup, length }, _list: bytes, settings } = parser
    if (bytes.length >= length) {
      const fault = faultOf({ cmd, qos, dup, body: bytes.slice(0, length) }, settings)
      // As the parser itself does: the packet is not handed on, and nothing after it is looked at.
      if (fault !== undefined) parser._emitError(fault)
      // The parser takes what follows for part of it. Nothing may [MQTT-3.14.4-2]; and a will is not sent then [MQTT-3.14.4-3].
      else if (cmd === 'disconnect') parser._list = bytes.shallowSlice(0, length)
    }
    return parser.error === null && parse()
  }
  let isRefused = false
  // Aedes closes the connection at once, without a word.
  parser.removeAllListeners('error')
  parser.on('error', (error: Error) => {
    // The parser may find several faults in one packet.
    if (!isRefused) refuse(client, error)
    isRefused = true
  })
}

function refuse (client: Client, error: Error): void {
  const reasonCode = error instanceof ProtocolFault ? error.reasonCode : MALFORMED_PACKET
  const returnCode = RETURN_CODES.get(reasonCode)
  const { broker, connackSent, pause } = client as unknown as ClientInternals
  const close = (): void => { client.emit('error', error) }
  // Nothing more is read while the answer is on its way.
  pause.call(client)
  if (returnCode !== undefined) {
    client.conn.end(Buffer.from([...CONNACK, returnCode]), close)
    return
  }
  // Others are told nothing [MQTT-4.13.1-1].
  if (client.version !== 5 || !connackSent) {
    close()
    return
  }
  broker.emit('clientError', client, error)
  const disconnect = (): void => { client.disconnect({ reasonCode }) }
  // Aedes sends none until the session is restored, which may take longer than the CONNACK.
  if (client.connected) disconnect()
  else client.once('connected', disconnect)
}
