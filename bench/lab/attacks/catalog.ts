// List of all attacks.

import type { Attack } from '../attacker.js'
import { bruteForce } from './brute-force.js'
import { connectionFlood } from './connection-flood.js'
import { exfiltration } from './exfiltration.js'
import { fuzz } from './fuzz.js'
import { largePayloads } from './large-payloads.js'
import { malaria } from './malaria.js'
import { malaria40 } from './malaria-40.js'
import { malariaJson } from './malaria-json.js'
import { malformed } from './malformed.js'
import { portScan } from './port-scan.js'
import { qos2Exhaustion } from './qos2-exhaustion.js'
import { retained } from './retained.js'
import { slowIte } from './slowite.js'
import { slowTt } from './slowtt.js'
import { synFlood } from './syn-flood.js'
import { takeover } from './takeover.js'
import { topicScan } from './topic-scan.js'
import { wildcardBomb } from './wildcard-bomb.js'
import { willAbuse } from './will-abuse.js'

/** All attacks, in the order of --list. */
export const ATTACKS: readonly Attack[] = [
  malaria,
  malariaJson,
  malaria40,
  bruteForce,
  connectionFlood,
  slowIte,
  slowTt,
  malformed,
  fuzz,
  topicScan,
  wildcardBomb,
  retained,
  takeover,
  willAbuse,
  largePayloads,
  qos2Exhaustion,
  exfiltration,
  synFlood,
  portScan
]

/** Returns the attack with this name, or undefined. */
export function findAttack(name: string): Attack | undefined {
  return ATTACKS.find(attack => attack.name === name)
}
