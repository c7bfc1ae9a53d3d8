// Encodes CONNACK packets.

import mqttPacket from 'mqtt-packet'

/** A CONNACK as Aedes creates it. */
export interface Connack {
  /** Before MQTT 5. */
  returnCode?: number
  /** MQTT 5. */
  reasonCode?: number
  sessionPresent?: boolean
  properties?: object
}

type PacketToWrite = Parameters<typeof mqttPacket.generate>[0]

/** Properties that a client needs to work correctly. */
const ESSENTIAL = [
  'assignedClientIdentifier',
  'serverKeepAlive',
  'sessionExpiryInterval',
  'receiveMaximum',
  'maximumPacketSize',
  'topicAliasMaximum'
]

/** Whether the client is accepted. */
export function isAccepted({ reasonCode, returnCode }: Connack): boolean {
  return (reasonCode ?? returnCode) === 0
}

/**
 * Encodes a CONNACK, without optional properties if the client's Maximum Packet Size requires it.
 *
 * @param maximumBytes Maximum Packet Size of the client
 * @returns undefined if even the shortest CONNACK is too large [MQTT-3.1.2-24]
 */
export function encodeConnack(connack: Connack, version: number, maximumBytes: number): Buffer | undefined {
  for (const properties of [connack.properties, essential(connack.properties)]) {
    const bytes = mqttPacket.generate({ ...connack, cmd: 'connack', properties } as PacketToWrite, {
      protocolVersion: version
    })
    if (bytes.length <= maximumBytes) return bytes
  }
  return undefined
}

function essential(properties: object | undefined): object {
  return Object.fromEntries(Object.entries(properties ?? {}).filter(([name]) => ESSENTIAL.includes(name)))
}
