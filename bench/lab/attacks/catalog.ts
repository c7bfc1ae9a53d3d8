// Every attack, one line each.

import type { Attack } from '../attacker.js'
import { connectionFlood, slowIte, slowTt } from './connections.js'
import { portScan, synFlood } from './handshakes.js'
import { exfiltration, takeover } from './identities.js'
import { bruteForce } from './logins.js'
import { fuzz, malformed } from './malformed.js'
import { malaria, malariaJson, malariaSlow } from './malaria.js'
import { largePayloads, qos2, retained, wills } from './messages.js'
import { topicScan, wildcardBomb } from './topics.js'

/** The attacks, in the order of the list. */
export const ATTACKS: readonly Attack[] = [
  malaria, malariaJson, malariaSlow, bruteForce, connectionFlood, slowIte, slowTt, malformed, fuzz, topicScan, wildcardBomb, retained, takeover, wills, largePayloads, qos2, exfiltration, synFlood, portScan
]

/** The attack called `name`, or undefined. */
export function findAttack (name: string): Attack | undefined {
  return ATTACKS.find(attack => attack.name === name)
}
