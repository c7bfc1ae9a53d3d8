// What a client may send, packet by packet; a PUBLISH is checked where it is read.

import { IDENTIFIER_NOT_VALID, PROTOCOL_ERROR, ProtocolFault, UNSUPPORTED_VERSION } from './fault.js'
import { FieldReader } from './field-reader.js'
import { readProperties, SESSION_EXPIRY, valueOf, type Carrier } from './properties.js'
import { isShared, isSharedFilter, isTopicFilter } from './topics.js'

/** A packet that has come whole. */
export interface IncomingPacket {
  /** Its name in small letters, such as `pubrec`. */
  cmd: string
  /** All that follows the fixed header. */
  body: Buffer
}

/** What the CONNECT of a connection said, as far as later packets depend on it; empty where none has come yet. */
export interface Agreed {
  /** Protocol level. */
  protocolVersion?: number
  properties?: {
    /** Seconds. */
    sessionExpiryInterval?: number
  }
}

const MQTT_3_1 = 3
const MQTT_5 = 5
/** Reason codes of PUBACK and PUBREC (MQTT 5, 3.4.2.1 and 3.5.2.1), and of PUBREL and PUBCOMP (3.6.2.1 and 3.7.2.1). */
const RECEIVED: readonly number[] = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]
const RELEASED: readonly number[] = [0x00, 0x92]
const REASON_CODES = { puback: RECEIVED, pubrec: RECEIVED, pubrel: RELEASED, pubcomp: RELEASED }

const CONNECT_FLAGS = { will: 0x04, willQos: 0x18, password: 0x40, userName: 0x80 }
/** Options of a subscription (MQTT 5, 3.8.3.1). */
const QOS = 0x03
const NO_LOCAL = 0x04
const RETAIN_HANDLING = 0x30

/**
 * Checks a packet.
 * @returns what is wrong with it; undefined for nothing
 */
export function faultOf(packet: IncomingPacket, agreed: Agreed): ProtocolFault | undefined {
  const { cmd } = packet
  const { protocolVersion: version } = agreed
  if (version === undefined && cmd !== 'connect')
    return new ProtocolFault('a CONNECT must come first [MQTT-3.1.0-1]', PROTOCOL_ERROR)
  const fields = new FieldReader(packet.body)
  switch (cmd) {
    case 'connect':
      if (version !== undefined) return new ProtocolFault('a second CONNECT [MQTT-3.1.0-2]', PROTOCOL_ERROR)
      checkConnect(fields)
      break
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      checkAcknowledgement(fields, cmd, version)
      break
    case 'subscribe':
    case 'unsubscribe':
      checkFilters(fields, cmd, version)
      break
    case 'disconnect':
      checkDisconnect(fields, agreed)
      break
    case 'pingreq':
      break
    default:
      // AUTH too: it is only for those who began to log in so, which Aedes refuses [MQTT-4.12.0-6].
      fields.refuse(`a client must not send a packet of the type ${cmd}`, PROTOCOL_ERROR)
  }
  if (fields.left > 0) fields.refuse('a packet goes on after its last field')
  return fields.fault
}

function checkConnect(fields: FieldReader): void {
  fields.binary()
  // Bridges set the highest bit.
  const version = fields.byte() & 0x7f
  if (version < MQTT_3_1 || version > MQTT_5)
    fields.refuse('a protocol level that is not known [MQTT-3.1.2-2]', UNSUPPORTED_VERSION)
  const flags = fields.byte()
  const { will, willQos, password, userName } = CONNECT_FLAGS
  if ((flags & willQos) === willQos) fields.refuse('the QoS of a will is 3 [MQTT-3.1.2-12]')
  if (version < MQTT_5 && (flags & password) !== 0 && (flags & userName) === 0)
    fields.refuse('a password without a user name [MQTT-3.1.2-22]')
  fields.twoBytes()
  if (version === MQTT_5) readProperties(fields, 'connect')
  const clientId = fields.text()
  if (version === MQTT_3_1 && clientId.length === 0)
    fields.refuse('a client of MQTT 3.1 without a name', IDENTIFIER_NOT_VALID)
  if ((flags & will) !== 0) {
    if (version === MQTT_5) readProperties(fields, 'will')
    if (fields.topicName() === '') fields.refuse('the topic of a will is empty [MQTT-4.7.3-1]', PROTOCOL_ERROR)
    fields.binary()
  }
  if ((flags & userName) !== 0) fields.text()
  if ((flags & password) !== 0) fields.binary()
}

function checkAcknowledgement(fields: FieldReader, cmd: keyof typeof REASON_CODES, version: number | undefined): void {
  fields.packetId()
  if (version !== MQTT_5 || fields.left === 0) return
  if (!REASON_CODES[cmd].includes(fields.byte()))
    fields.refuse(`not a reason code of ${cmd.toUpperCase()}`, PROTOCOL_ERROR)
  if (fields.left > 0) readProperties(fields, cmd)
}

function checkFilters(
  fields: FieldReader,
  cmd: Carrier & ('subscribe' | 'unsubscribe'),
  version: number | undefined
): void {
  fields.packetId()
  if (version === MQTT_5) readProperties(fields, cmd)
  if (fields.left === 0)
    fields.refuse('a packet without a topic filter [MQTT-3.8.3-2], [MQTT-3.10.3-2]', PROTOCOL_ERROR)
  while (fields.left > 0) {
    const filter = fields.text().toString()
    // Of the options the parser refuses what must not be, and before MQTT 5 nobody is told why.
    const options = cmd === 'subscribe' ? fields.byte() : 0
    if (!isTopicFilter(filter)) fields.refuse('an invalid topic filter [MQTT-4.7.1-1], [MQTT-4.7.1-2], [MQTT-4.7.3-1]')
    if (version !== MQTT_5) continue
    if ((options & QOS) === QOS) fields.refuse('a subscription with QoS 3 (3.8.3.1)', PROTOCOL_ERROR)
    if ((options & RETAIN_HANDLING) === RETAIN_HANDLING)
      fields.refuse('a subscription with retain handling 3 (3.8.3.1)', PROTOCOL_ERROR)
    if (!isShared(filter)) continue
    if (!isSharedFilter(filter))
      fields.refuse('a shared subscription lacks its name or filter [MQTT-4.8.2-1]', PROTOCOL_ERROR)
    if ((options & NO_LOCAL) !== 0) fields.refuse('a shared subscription with No Local [MQTT-3.8.3-4]', PROTOCOL_ERROR)
  }
}

function checkDisconnect(fields: FieldReader, { protocolVersion, properties }: Agreed): void {
  if (protocolVersion !== MQTT_5 || fields.left === 0) return
  // Of the reason codes the parser refuses what must not be.
  fields.byte()
  if (fields.left === 0) return
  const expiry = valueOf(readProperties(fields, 'disconnect'), SESSION_EXPIRY) ?? 0
  if (expiry !== 0 && (properties?.sessionExpiryInterval ?? 0) === 0) {
    fields.refuse(
      'a DISCONNECT that makes a session last which was to end with its connection (3.14.2.2.2)',
      PROTOCOL_ERROR
    )
  }
}
