// Who a client is, once it is let in.

import type { ListenerAuth } from './credentials.js'
import type { PasswordHash } from './password-hash.js'

/** How a client came in. */
export interface ClientOrigin {
  /** The key of its listener. */
  listener: string
  /** Where it is, as far as that can be believed: what a trusted proxy announced, else the far end of its socket. */
  address: string
  /** Whether a program of this machine speaks for itself. */
  isLocal: boolean
  /** The name in its certificate, which was checked; null where there is none, or the listener does not ask for it. */
  certificateName: string | null
}

/** A client that was let in. */
export interface Identity {
  /** null: anonymous. */
  username: string | null
  /** Its own choice, which proves nothing. */
  clientId: string
  listener: string
  /** Whether a password or a certificate has shown that it is who it says. */
  isProven: boolean
  isLocal: boolean
  /** What its password was compared with. */
  hash: PasswordHash | null
}

/** Whether a door would still let this client in: its password is the same, its kind still welcome. */
export function isStillAuthorized(
  { username, hash }: Identity,
  { allowAnonymous, identityAsUsername, passwords }: ListenerAuth
): boolean {
  if (identityAsUsername) return true
  if (username === null || passwords === null) return allowAnonymous
  const present = passwords.users.get(username)
  return hash !== null && present !== undefined && present.hash.equals(hash.hash) && present.salt.equals(hash.salt)
}

/** Whether an address is one of this machine's own, in the form of `normaliseAddress`. */
export function isLoopback(address: string): boolean {
  return /^127(\.\d{1,3}){3}$/.test(address) || address === '::1'
}
