// Protocol errors of clients, with their MQTT 5 reason codes.

/** Reason code "Malformed Packet" (MQTT 5, section 2.4): the packet cannot be parsed. */
export const MALFORMED_PACKET = 0x81
/** Reason code "Protocol Error": the packet can be parsed, but is not allowed, or not at this point. */
export const PROTOCOL_ERROR = 0x82
/** Reason code "Unsupported Protocol Version". */
export const UNSUPPORTED_VERSION = 0x84
/** Reason code "Client Identifier not valid". */
export const IDENTIFIER_NOT_VALID = 0x85

/** An invalid packet. The connection is closed and the packet is not processed [MQTT-4.13.1-1]. */
export class ProtocolFault extends Error {
  /**
   * @param message the violation, with its clause
   * @param reasonCode sent to MQTT 5 clients
   */
  constructor(
    message: string,
    readonly reasonCode = MALFORMED_PACKET
  ) {
    super(message)
    this.name = 'ProtocolFault'
  }
}
