// What a client sends, as the broker checks it before anybody else looks at it.
import { readPublish } from '../../../broker/core/wire.js'
import { ProtocolFault } from '../../../broker/protocol/fault.js'
import { faultOf } from '../../../broker/protocol/packet-checks.js'
import { check } from '../target.js'
import type { FuzzTarget } from '../target.js'
import { anyPackets } from './packets.js'

const TYPES = [
  'reserved',
  'connect',
  'connack',
  'publish',
  'puback',
  'pubrec',
  'pubrel',
  'pubcomp',
  'subscribe',
  'suback',
  'unsubscribe',
  'unsuback',
  'pingreq',
  'pingresp',
  'disconnect',
  'auth'
]
const FROM_CLIENTS = new Set([
  'connect',
  'publish',
  'puback',
  'pubrec',
  'pubrel',
  'pubcomp',
  'subscribe',
  'unsubscribe',
  'pingreq',
  'disconnect'
])
const VERSIONS = [undefined, 3, 4, 5]

/** The first byte is the version, then comes a packet whose length is that of the input. */
export const checksTarget: FuzzTarget = {
  name: 'checks',
  properties:
    'a fault with a reason code or nothing, the same twice; nothing of what only a broker sends, and no topic with wildcards',
  weight: 10,
  covers: [
    'broker/core/wire.js',
    'broker/protocol/packet-checks.js',
    'broker/protocol/properties.js',
    'broker/protocol/field-reader.js',
    'broker/protocol/topics.js'
  ],
  generate(random) {
    const version = random.integer(VERSIONS.length)
    return Buffer.concat([Buffer.from([version]), anyPackets(random, VERSIONS[version] ?? 4, 1)])
  },
  run(input) {
    if (input.length < 3) return
    const version = VERSIONS[input[0] & 3]
    const cmd = TYPES[input[1] >> 4]
    const body = Buffer.from(input.subarray(3))
    const find = (): ProtocolFault | undefined => {
      if (cmd !== 'publish' || version === undefined) return faultOf({ cmd, body }, { protocolVersion: version })
      const read = readPublish(body, input[1], 0, body.length, version)
      return read instanceof ProtocolFault ? read : undefined
    }
    const fault = find()
    check(fault?.message === find()?.message, 'the second time there is another fault')
    check(fault === undefined || fault.reasonCode >= 0x80, 'a fault is none')
    if (fault !== undefined) return
    check(FROM_CLIENTS.has(cmd), 'a packet of the broker is taken from a client')
    check((cmd === 'connect') === (version === undefined), 'a CONNECT comes twice, or not first')
    if (cmd === 'publish')
      check(!/[+#]/.test(body.toString('latin1', 2, 2 + body.readUInt16BE(0))), 'a topic has wildcards')
  }
}
