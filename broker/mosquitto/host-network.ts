// What a mosquitto.conf leaves to the machine: its network interfaces.

import { networkInterfaces } from 'node:os'
import type { HostNetwork } from './drafts.js'

/** IPv6 addresses of one link (RFC 4291, section 2.5.6): without the link nobody can listen on them. */
const LINK_LOCAL = /^fe[89ab]/i

/** The machine that this runs on. */
export const THIS_HOST: HostNetwork = {
  get hasIpv6() {
    return Object.values(networkInterfaces()).some(
      addresses => addresses?.some(({ family }) => family === 'IPv6') === true
    )
  },
  addressesOf: name =>
    (networkInterfaces()[name] ?? []).map(({ address }) => address).filter(address => !LINK_LOCAL.test(address))
}
