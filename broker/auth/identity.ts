// Identity of an authenticated client.

import type { ListenerAuth } from './credentials.js'
import type { PasswordHash } from './password-hash.js'

/** Where a client connects from. */
export interface ClientOrigin {
  /** The key of its listener. */
  listener: string
  /** The address announced by a trusted proxy, otherwise the remote address of the socket. */
  address: string
  /** Whether it is a program on this machine: neither proxied nor over WebSocket. */
  isLocal: boolean
  /** Common name of its verified certificate; null if it has none or the listener does not use it. */
  certificateName: string | null
}

/** An authenticated client. */
export interface Identity {
  /** null: anonymous. */
  username: string | null
  /** Chosen by the client, so not proof of identity. */
  clientId: string
  listener: string
  /** Whether a password or a certificate proved the username. */
  isProven: boolean
  isLocal: boolean
  /** The hash that its password matched. */
  hash: PasswordHash | null
}

/** Whether a client could still log in: its password is unchanged, or anonymous access is still allowed. */
export function isStillAuthorized(
  { username, hash }: Identity,
  { allowAnonymous, identityAsUsername, passwords }: ListenerAuth
): boolean {
  if (identityAsUsername) return true
  if (username === null || passwords === null) return allowAnonymous
  const current = passwords.users.get(username)
  return hash !== null && current !== undefined && current.hash.equals(hash.hash) && current.salt.equals(hash.salt)
}

/** Whether an address, as returned by `normaliseAddress`, is a loopback address. */
export function isLoopback(address: string): boolean {
  return /^127(\.\d{1,3}){3}$/.test(address) || address === '::1'
}
