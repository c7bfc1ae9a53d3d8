// Fuzz target for the checks that the broker runs first on packets from clients.
import { readPublish } from '../../../broker/core/wire.js'
import { ProtocolFault } from '../../../broker/protocol/fault.js'
import { checkPacket } from '../../../broker/protocol/packet-checks.js'
import { PACKET_TYPE_NAMES } from '../../../src/decode/packet-types.js'
import { check } from '../target.js'
import type { FuzzTarget } from '../target.js'
import { anyPackets } from './packets.js'

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

/** Input: a byte for the version, then a packet that ends with the input. */
export const checksTarget: FuzzTarget = {
  name: 'checks',
  properties:
    'an error with a reason code or nothing, repeatable; no packet that only brokers send, no topic with wildcards',
  weight: 10,
  covers: [
    'broker/core/wire.js',
    'broker/protocol/packet-checks.js',
    'broker/protocol/properties.js',
    'broker/protocol/field-reader.js',
    'src/topics.js'
  ],
  generate(random) {
    const version = random.integer(VERSIONS.length)
    return Buffer.concat([Buffer.from([version]), anyPackets(random, VERSIONS[version] ?? 4, 1)])
  },
  run(input) {
    if (input.length < 3) return
    const version = VERSIONS[input[0] & 3]
    const cmd = PACKET_TYPE_NAMES[input[1] >> 4]
    const body = Buffer.from(input.subarray(3))
    const find = (): ProtocolFault | undefined => {
      if (cmd !== 'publish' || version === undefined) return checkPacket({ cmd, body }, { protocolVersion: version })
      const read = readPublish(body, input[1], 0, body.length, version)
      return read instanceof ProtocolFault ? read : undefined
    }
    const error = find()
    check(error?.message === find()?.message, 'the second run returns a different error')
    check(error === undefined || error.reasonCode >= 0x80, 'an error has no error reason code')
    if (error !== undefined) return
    check(FROM_CLIENTS.has(cmd), 'a packet that only brokers send is accepted')
    check((cmd === 'connect') === (version === undefined), 'a CONNECT is not the first packet, or is repeated')
    if (cmd === 'publish')
      check(!/[+#]/.test(body.toString('latin1', 2, 2 + body.readUInt16BE(0))), 'a topic with wildcards is accepted')
  }
}
