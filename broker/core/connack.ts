// The CONNACK, as it goes to a client.

import mqttPacket from 'mqtt-packet'

/** A CONNACK as Aedes makes it. */
export interface Connack {
  /** Before MQTT 5. */
  returnCode?: number
  /** MQTT 5. */
  reasonCode?: number
  sessionPresent?: boolean
  properties?: object
}

type PacketToWrite = Parameters<typeof mqttPacket.generate>[0]

/** What a client has to know: it cannot go on without it. */
const ESSENTIAL = [
  'assignedClientIdentifier',
  'serverKeepAlive',
  'sessionExpiryInterval',
  'receiveMaximum',
  'maximumPacketSize',
  'topicAliasMaximum'
]

/** Whether the client is let in. */
export function isAccepted({ reasonCode, returnCode }: Connack): boolean {
  return (reasonCode ?? returnCode) === 0
}

/**
 * Encodes a CONNACK. What it need not say is left out where there is no room for it.
 *
 * @param maximumBytes that the client takes
 * @returns undefined where it takes none as large as it has to be [MQTT-3.1.2-24]
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
