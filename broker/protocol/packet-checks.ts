// Checks incoming packets, except PUBLISH, which is checked when it is parsed.

import { IDENTIFIER_NOT_VALID, PROTOCOL_ERROR, ProtocolFault, UNSUPPORTED_VERSION } from './fault.js'
import { FieldReader } from './field-reader.js'
import { readProperties, SESSION_EXPIRY, valueOf, type Carrier } from './properties.js'
import { isShared, isSharedFilter, isTopicFilter } from '../../src/topics.js'

/** A complete incoming packet. */
export interface IncomingPacket {
  /** Packet type in lower case, such as `pubrec`. */
  cmd: string
  /** All bytes after the fixed header. */
  body: Buffer
}

/** Values of the CONNECT that later packets depend on; empty before the CONNECT. */
export interface ConnectValues {
  /** Protocol level. */
  protocolVersion?: number
  properties?: {
    /** s. */
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
/** Subscription options (MQTT 5, 3.8.3.1). */
const QOS = 0x03
const NO_LOCAL = 0x04
const RETAIN_HANDLING = 0x30

/**
 * Checks a packet.
 * @returns its first fault; undefined if it is valid
 */
export function checkPacket(packet: IncomingPacket, connect: ConnectValues): ProtocolFault | undefined {
  const { cmd } = packet
  const { protocolVersion: version } = connect
  if (version === undefined && cmd !== 'connect')
    return new ProtocolFault('the first packet is not a CONNECT [MQTT-3.1.0-1]', PROTOCOL_ERROR)
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
      checkTopicFilters(fields, cmd, version)
      break
    case 'disconnect':
      checkDisconnect(fields, connect)
      break
    case 'pingreq':
      break
    default:
      // Includes AUTH: it requires enhanced authentication, which Aedes refuses [MQTT-4.12.0-6].
      fields.refuse(`clients must not send ${cmd.toUpperCase()} packets`, PROTOCOL_ERROR)
  }
  if (fields.left > 0) fields.refuse('data after the last field of a packet')
  return fields.fault
}

function checkConnect(fields: FieldReader): void {
  fields.binary()
  // Bridges set the highest bit.
  const version = fields.byte() & 0x7f
  if (version < MQTT_3_1 || version > MQTT_5)
    fields.refuse('unsupported protocol level [MQTT-3.1.2-2]', UNSUPPORTED_VERSION)
  const flags = fields.byte()
  const { will, willQos, password, userName } = CONNECT_FLAGS
  if ((flags & willQos) === willQos) fields.refuse('will QoS is 3 [MQTT-3.1.2-12]')
  if (version < MQTT_5 && (flags & password) !== 0 && (flags & userName) === 0)
    fields.refuse('a password without a user name [MQTT-3.1.2-22]')
  fields.twoBytes()
  if (version === MQTT_5) readProperties(fields, 'connect')
  const clientId = fields.text()
  if (version === MQTT_3_1 && clientId.length === 0)
    fields.refuse('empty client identifier in MQTT 3.1', IDENTIFIER_NOT_VALID)
  if ((flags & will) !== 0) {
    if (version === MQTT_5) readProperties(fields, 'will')
    if (fields.topicName() === '') fields.refuse('the will topic is empty [MQTT-4.7.3-1]', PROTOCOL_ERROR)
    fields.binary()
  }
  if ((flags & userName) !== 0) fields.text()
  if ((flags & password) !== 0) fields.binary()
}

function checkAcknowledgement(fields: FieldReader, cmd: keyof typeof REASON_CODES, version: number | undefined): void {
  fields.packetId()
  if (version !== MQTT_5 || fields.left === 0) return
  if (!REASON_CODES[cmd].includes(fields.byte()))
    fields.refuse(`invalid reason code for ${cmd.toUpperCase()}`, PROTOCOL_ERROR)
  if (fields.left > 0) readProperties(fields, cmd)
}

function checkTopicFilters(
  fields: FieldReader,
  cmd: Carrier & ('subscribe' | 'unsubscribe'),
  version: number | undefined
): void {
  fields.packetId()
  if (version === MQTT_5) readProperties(fields, cmd)
  if (fields.left === 0) fields.refuse('no topic filter [MQTT-3.8.3-2], [MQTT-3.10.3-2]', PROTOCOL_ERROR)
  while (fields.left > 0) {
    const filter = fields.text().toString()
    // The parser refuses invalid options. They are checked here for MQTT 5 only, which has reason codes.
    const options = cmd === 'subscribe' ? fields.byte() : 0
    if (!isTopicFilter(filter)) fields.refuse('invalid topic filter [MQTT-4.7.1-1], [MQTT-4.7.1-2], [MQTT-4.7.3-1]')
    if (version !== MQTT_5) continue
    if ((options & QOS) === QOS) fields.refuse('subscription with QoS 3 (3.8.3.1)', PROTOCOL_ERROR)
    if ((options & RETAIN_HANDLING) === RETAIN_HANDLING)
      fields.refuse('subscription with Retain Handling 3 (3.8.3.1)', PROTOCOL_ERROR)
    if (!isShared(filter)) continue
    if (!isSharedFilter(filter))
      fields.refuse('shared subscription without a name or topic filter [MQTT-4.8.2-1]', PROTOCOL_ERROR)
    if ((options & NO_LOCAL) !== 0) fields.refuse('shared subscription with No Local [MQTT-3.8.3-4]', PROTOCOL_ERROR)
  }
}

function checkDisconnect(fields: FieldReader, { protocolVersion, properties }: ConnectValues): void {
  if (protocolVersion !== MQTT_5 || fields.left === 0) return
  // The parser refuses invalid reason codes.
  fields.byte()
  if (fields.left === 0) return
  const expiry = valueOf(readProperties(fields, 'disconnect'), SESSION_EXPIRY) ?? 0
  if (expiry !== 0 && (properties?.sessionExpiryInterval ?? 0) === 0) {
    fields.refuse('DISCONNECT sets a Session Expiry Interval that the CONNECT set to 0 (3.14.2.2.2)', PROTOCOL_ERROR)
  }
}
