// What a client did wrong, as MQTT 5 names it.

/** Reason code "Malformed Packet" (MQTT 5, section 2.4): it cannot be read. */
export const MALFORMED_PACKET = 0x81
/** Reason code "Protocol Error": it can be read, and must not be sent, or not now. */
export const PROTOCOL_ERROR = 0x82
/** Reason code "Unsupported Protocol Version". */
export const UNSUPPORTED_VERSION = 0x84
/** Reason code "Client Identifier not valid". */
export const IDENTIFIER_NOT_VALID = 0x85

/** A packet that must not be handled, and for which the connection is closed [MQTT-4.13.1-1]. */
export class ProtocolFault extends Error {
  /**
   * @param message what is wrong, with its clause
   * @param reasonCode what a client of MQTT 5 is told
   */
  constructor(
    message: string,
    readonly reasonCode = MALFORMED_PACKET
  ) {
    super(message)
    this.name = 'ProtocolFault'
  }
}
