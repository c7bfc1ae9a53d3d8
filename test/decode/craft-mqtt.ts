// Builds MQTT control packets byte by byte for tests.

/** Builds a packet: fixed header byte, remaining length, body. */
export function packet(header: number, body: Uint8Array = new Uint8Array(0)): Buffer {
  const length = []
  let rest = body.length
  do {
    length.push((rest % 128) | (rest >= 128 ? 128 : 0))
    rest = Math.floor(rest / 128)
  } while (rest > 0)
  return Buffer.concat([Buffer.from([header, ...length]), body])
}

/** Builds a string with its length prefix. */
export function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes])
}

/** Builds a CONNECT of MQTT 3.1 (level 3), 3.1.1 (4) or 5, with an optional will. */
export function connect(level = 4, clientId = 'tester', will?: { topic: string; payload: string }): Buffer {
  const properties = level === 5 ? Buffer.from([0]) : Buffer.alloc(0)
  const flags = will === undefined ? 2 : 6
  return packet(
    0x10,
    Buffer.concat([
      text(level === 3 ? 'MQIsdp' : 'MQTT'),
      Buffer.from([level, flags, 0, 60]),
      properties,
      text(clientId),
      ...(will === undefined ? [] : [properties, text(will.topic), text(will.payload)])
    ])
  )
}

/** Builds a PUBLISH; with `properties` (without their length), one of MQTT 5. */
export function publish(
  topic: string,
  payload: string | Uint8Array,
  { qos = 0, properties = null as Uint8Array | null } = {}
): Buffer {
  return packet(
    0x30 | (qos << 1),
    Buffer.concat([
      text(topic),
      qos > 0 ? Buffer.from([0, 9]) : Buffer.alloc(0),
      properties === null ? Buffer.alloc(0) : Buffer.concat([Buffer.from([properties.length]), properties]),
      Buffer.from(payload)
    ])
  )
}

/** Builds a SUBSCRIBE to filters. */
export function subscribe(filters: readonly string[], { properties = null as Uint8Array | null } = {}): Buffer {
  return packet(
    0x82,
    Buffer.concat([
      Buffer.from([0, 7]),
      properties === null ? Buffer.alloc(0) : Buffer.concat([Buffer.from([properties.length]), properties]),
      ...filters.map(filter => Buffer.concat([text(filter), Buffer.from([1])]))
    ])
  )
}

export const CONNACK = packet(0x20, Buffer.from([0, 0]))
export const PUBACK = packet(0x40, Buffer.from([0, 9]))
export const PINGREQ = packet(0xc0)
export const PINGRESP = packet(0xd0)
