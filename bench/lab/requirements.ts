// Requirements of the lab.

import { findProgram } from '../../test/support/programs.js'
import { networkMissing } from './network.js'

const NEEDED = ['ip', 'ethtool', 'tcpdump', 'socat', 'openssl']

/** Returns why this machine cannot run the lab, or false if it can. */
export function labMissing(): string | false {
  const reason = networkMissing()
  if (reason !== false) return reason
  const missing = NEEDED.filter(program => findProgram(program) === program)
  return missing.length === 0
    ? false
    : `not found: ${missing.join(', ')}. On Debian, run: apt-get install iproute2 ethtool tcpdump socat openssl`
}
