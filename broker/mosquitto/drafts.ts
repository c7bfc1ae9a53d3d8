// The listeners of a mosquitto.conf while it is read.

import type { Statement } from './reader.js'

/** A setting and its location. */
export interface Placed {
  value: unknown
  place: string
}

/** Settings by key, such as `tls.cert`. */
export type PlacedSettings = Map<string, Placed>

/** A listener that is being read. */
export interface Draft {
  place: string
  port: number
  /** null: all addresses. */
  host: string | null
  socketDomain: string | null
  interfaceName: string | null
  settings: PlacedSettings
  /** Used with per_listener_settings. */
  security: PlacedSettings
  /** The `capath` directive; the folder is not read. */
  capath: Statement | null
  /** The directive that keeps the listener closed. */
  closedBy: Statement | null
}

/** The network of the machine, as the translation needs it. */
export interface HostNetwork {
  hasIpv6: boolean
  /** Addresses of a network interface except link-local ones; empty if the interface does not exist. */
  addressesOf: (interfaceName: string) => readonly string[]
}

/** The default port of mosquitto. */
export const DEFAULT_PORT = 1883
const LOOPBACK = { ipv4: '127.0.0.1', ipv6: '::1' }

/** Creates a listener without settings. */
export function newDraft(place: string, port: number, host: string | null): Draft {
  return {
    place,
    port,
    host,
    socketDomain: null,
    interfaceName: null,
    settings: new Map(),
    security: new Map(),
    capath: null,
    closedBy: null
  }
}

/** Returns the addresses of a listener. */
export function hostsOf({ host, socketDomain, interfaceName }: Draft, machine: HostNetwork): readonly string[] {
  if (interfaceName !== null)
    return machine.addressesOf(interfaceName).filter(address => isOfDomain(address, socketDomain))
  if (host !== null) return [host]
  return [machine.hasIpv6 && socketDomain !== 'ipv4' ? '::' : '0.0.0.0']
}

/** Returns the loopback addresses. */
export function loopbackHosts({ hasIpv6 }: HostNetwork): readonly string[] {
  return hasIpv6 ? [LOOPBACK.ipv4, LOOPBACK.ipv6] : [LOOPBACK.ipv4]
}

function isOfDomain(address: string, socketDomain: string | null): boolean {
  return socketDomain === null || address.includes(':') === (socketDomain === 'ipv6')
}
