// Clients that are never disconnected or banned.

import { BlockList, isIP } from 'node:net'
import { normaliseAddress } from '../observe/address.js'

/** An entry: `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/32`, or `client:ID` for a client id at any address. */
export type AllowEntry = string

/** Description of the valid forms, for messages. */
export const ALLOW_FORM = 'an address, a network such as 192.0.2.0/24, or client:ID'

const CLIENT_PREFIX = 'client:'
/** Maximum number of entries added at run time. */
export const ALLOW_CAP = 1_000
const BITS = { ipv4: 32, ipv6: 128 } as const

type Network = { address: string; bits: number; family: keyof typeof BITS }

/** Whether a text is a valid entry. */
export function isAllowEntry(text: string): boolean {
  return text.startsWith(CLIENT_PREFIX) ? text.length > CLIENT_PREFIX.length : networkOf(text) !== undefined
}

/** Returns the entry for a client id. */
export function allowClient(clientId: string): AllowEntry {
  return CLIENT_PREFIX + clientId
}

/** The allow-list: the configured entries, and those added at run time. */
export class AllowList {
  readonly #added = new Set<AllowEntry>()
  #clients = new Set<string>()
  #networks = new BlockList()
  readonly #configured: readonly AllowEntry[]

  /**
   * @param configured entries that cannot be removed at run time
   */
  constructor(configured: readonly AllowEntry[] = []) {
    this.#configured = configured
    this.#index()
  }

  /** Whether any client id is allowed at every address. */
  get namesClients(): boolean {
    return this.#clients.size > 0
  }

  /** Adds an entry. Returns false if the list is full. */
  add(entry: AllowEntry): boolean {
    if (this.#added.size >= ALLOW_CAP && !this.#added.has(entry)) return false
    this.#added.add(entry)
    this.#index()
    return true
  }

  /** Removes an entry that was added at run time. Returns whether it existed. */
  remove(entry: AllowEntry): boolean {
    const existed = this.#added.delete(entry)
    this.#index()
    return existed
  }

  /** Returns the entries and the source of each. */
  list(): { entry: AllowEntry; from: 'settings' | 'command' }[] {
    return [
      ...this.#configured.map(entry => ({ entry, from: 'settings' as const })),
      ...Array.from(this.#added, entry => ({ entry, from: 'command' as const }))
    ]
  }

  /** Whether every client at this address is allowed. */
  hasAddress(address: string): boolean {
    // Removes the zone (interface) of a link-local address: `fe80::1%eth0`.
    const plain = normaliseAddress(address).replace(/%.*$/, '')
    const family = isIP(plain)
    return family !== 0 && this.#networks.check(plain, family === 4 ? 'ipv4' : 'ipv6')
  }

  /** Whether a client is allowed by its address or its client id. */
  has(address: string, clientId: string | null): boolean {
    return (clientId !== null && this.#clients.has(clientId)) || this.hasAddress(address)
  }

  #index(): void {
    const entries = [...this.#configured, ...this.#added]
    this.#clients = new Set(
      entries.filter(entry => entry.startsWith(CLIENT_PREFIX)).map(entry => entry.slice(CLIENT_PREFIX.length))
    )
    this.#networks = new BlockList()
    for (const entry of entries) {
      const network = entry.startsWith(CLIENT_PREFIX) ? undefined : networkOf(entry)
      if (network !== undefined) this.#networks.addSubnet(network.address, network.bits, network.family)
    }
  }
}

function networkOf(text: string): Network | undefined {
  const [, base, prefix] = (/^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []) as (string | undefined)[]
  const address = normaliseAddress(base ?? '')
  const version = isIP(address)
  if (version === 0 || address.includes('%')) return undefined
  const family = version === 4 ? 'ipv4' : 'ipv6'
  const bits = prefix === undefined ? BITS[family] : Number(prefix)
  return bits <= BITS[family] ? { address, bits, family } : undefined
}
