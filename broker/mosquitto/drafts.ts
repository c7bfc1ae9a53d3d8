// The listeners of mosquitto.conf while it is read, and what becomes of each.

import type { Statement } from './reader.js'

/** A setting, and where it was said. */
export interface Placed {
  value: unknown
  place: string
}

/** Settings by their keys, such as `tls.cert`. */
export type PlacedSettings = Map<string, Placed>

/** A listener as far as it was read. */
export interface Draft {
  place: string
  port: number
  /** null: all addresses. */
  host: string | null
  socketDomain: string | null
  interfaceName: string | null
  settings: PlacedSettings
  /** Under per_listener_settings. */
  security: PlacedSettings
  /** A folder of certificates, which is not read. */
  authorities: Statement | null
  /** What it cannot be opened with. */
  closedBy: Statement | null
}

/** What the translation asks the machine. */
export interface HostNetwork {
  hasIpv6: boolean
  /** Addresses of a network interface, link-local ones left out; none where there is no such interface. */
  addressesOf: (interfaceName: string) => readonly string[]
}

/** The port that mosquitto takes where it is told none. */
export const DEFAULT_PORT = 1883
const LOOPBACK = { ipv4: '127.0.0.1', ipv6: '::1' }

/** A listener with nothing said about it. */
export function newDraft(place: string, port: number, host: string | null): Draft {
  return {
    place,
    port,
    host,
    socketDomain: null,
    interfaceName: null,
    settings: new Map(),
    security: new Map(),
    authorities: null,
    closedBy: null
  }
}

/** The addresses that a listener takes. */
export function hostsOf({ host, socketDomain, interfaceName }: Draft, machine: HostNetwork): readonly string[] {
  if (interfaceName !== null)
    return machine.addressesOf(interfaceName).filter(address => isOfDomain(address, socketDomain))
  if (host !== null) return [host]
  return [machine.hasIpv6 && socketDomain !== 'ipv4' ? '::' : '0.0.0.0']
}

/** The addresses of this machine alone. */
export function loopbackHosts({ hasIpv6 }: HostNetwork): readonly string[] {
  return hasIpv6 ? [LOOPBACK.ipv4, LOOPBACK.ipv6] : [LOOPBACK.ipv4]
}

function isOfDomain(address: string, socketDomain: string | null): boolean {
  return socketDomain === null || address.includes(':') === (socketDomain === 'ipv6')
}
