// What a machine must have for the lab.

import { findProgram } from '../../test/support/programs.js'
import { networkMissing } from './network.js'

const NEEDED = ['ip', 'ethtool', 'tcpdump', 'socat', 'openssl']

/** Why this machine cannot run the lab, or false where it can. */
export function labMissing(): string | false {
  const obstacle = networkMissing()
  if (obstacle !== false) return obstacle
  const missing = NEEDED.filter(program => findProgram(program) === program)
  return missing.length === 0
    ? false
    : `${missing.join(', ')} missing; on Debian: apt-get install iproute2 ethtool tcpdump socat openssl`
}
