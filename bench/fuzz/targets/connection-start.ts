// Fuzz targets for the start of connections: the PROXY header and the identity in CONNECT.
import { isIP } from 'node:net'
import type { Random } from '../../../models/random.js'
import { MAX_PROXY_HEADER_BYTES, parseProxyHeader } from '../../../broker/listeners/proxy-protocol.js'
import { connectIdentity } from '../../../src/decode/mqtt-connect.js'
import { connect, packet, text } from '../../../test/decode/craft-mqtt.js'
import { check } from '../target.js'
import type { FuzzTarget } from '../target.js'

const SIGNATURE = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a])

function anyHeader(random: Random): Buffer {
  if (random.integer(2) === 0) {
    const line = [
      'PROXY TCP4 10.0.0.1 10.0.0.2 40000 1883',
      'PROXY TCP6 2001:db8::1 ::1 1 65535',
      'PROXY UNKNOWN',
      'PROXY TCP4 1.2.3.4 1.2.3.4 65536 1'
    ][random.integer(4)]
    return Buffer.from(`${line}\r\n`, 'latin1')
  }
  const body = Buffer.alloc([0, 12, 36, 216, 20][random.integer(5)], random.integer(256))
  const head = Buffer.from([
    0x20 | random.integer(2),
    [0, 0x11, 0x21, 0x31, 0x12][random.integer(5)],
    body.length >> 8,
    body.length & 0xff
  ])
  return Buffer.concat([SIGNATURE, head, body])
}

export const proxyTarget: FuzzTarget = {
  name: 'proxy',
  properties:
    'complete, incomplete or malformed; decided within the maximum header length; more bytes never change a decision',
  weight: 3,
  covers: ['broker/listeners/proxy-protocol.js'],
  generate: random => Buffer.concat([anyHeader(random), Buffer.alloc(random.integer(20), random.integer(256))]),
  run(input) {
    const whole = parseProxyHeader(input)
    check(
      whole.state !== 'incomplete' || input.length < MAX_PROXY_HEADER_BYTES,
      'a header is undecided beyond the maximum length'
    )
    if (whole.state === 'complete') {
      check(whole.length > 0 && whole.length <= input.length, 'a header is longer than the input')
      check(
        whole.client === null ||
          (isIP(whole.client.address) !== 0 && whole.client.port >= 0 && whole.client.port <= 65_535),
        'the announced address is invalid'
      )
    }
    for (let length = 0; length < Math.min(input.length, 64); length++) {
      const part = parseProxyHeader(input.subarray(0, length))
      if (part.state !== 'incomplete')
        check(JSON.stringify(part) === JSON.stringify(whole), 'more bytes change the decision')
    }
  }
}

export const connectTarget: FuzzTarget = {
  name: 'connect',
  properties: 'an identity or null, no longer than the packet; repeatable',
  weight: 2,
  covers: ['src/decode/mqtt-connect.js'],
  generate(random) {
    const level = 3 + random.integer(3)
    if (random.integer(2) === 0) return connect(level, 'x'.repeat(random.integer(40)))
    const properties = level === 5 ? Buffer.from([5, 17, 0, 0, 0, 9]) : Buffer.alloc(0)
    const will =
      random.integer(2) === 0
        ? Buffer.alloc(0)
        : Buffer.concat([level === 5 ? Buffer.from([0]) : Buffer.alloc(0), text('will'), text('gone')])
    const flags = 2 | (will.length > 0 ? 4 : 0) | (random.integer(4) << 6)
    return packet(
      0x10,
      Buffer.concat([
        text(level === 3 ? 'MQIsdp' : 'MQTT'),
        Buffer.from([level, flags, 0, 9]),
        properties,
        text('id'),
        will,
        text('user'),
        text('secret')
      ])
    )
  },
  run(input) {
    const identity = connectIdentity(Uint8Array.from(input))
    check(
      JSON.stringify(connectIdentity(Uint8Array.from(input))) === JSON.stringify(identity),
      'the second run returns a different identity'
    )
    if (identity === null) return
    check(identity.clientId.length + identity.username.length <= input.length, 'an identity is longer than its packet')
  }
}
