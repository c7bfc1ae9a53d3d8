// The network interfaces of this machine.

import { networkInterfaces } from 'node:os'
import type { HostNetwork } from './drafts.js'

/** Link-local IPv6 addresses (RFC 4291, section 2.5.6): listening on them needs a zone. */
const LINK_LOCAL = /^fe[89ab]/i

/** This machine. */
export const THIS_HOST: HostNetwork = {
  get hasIpv6() {
    return Object.values(networkInterfaces()).some(
      addresses => addresses?.some(({ family }) => family === 'IPv6') === true
    )
  },
  addressesOf: name =>
    (networkInterfaces()[name] ?? []).map(({ address }) => address).filter(address => !LINK_LOCAL.test(address))
}
