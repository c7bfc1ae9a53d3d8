// Authorisation of control requests.

import type { Client } from 'aedes'
import type { ObservedConnection } from '../observe/observer.js'

/** The client that sent a request. */
export type Requester = Pick<
  ObservedConnection,
  'client' | 'announced' | 'broker' | 'transport' | 'clientId' | 'username'
>

/**
 * Whether a client may control the detection. Called after the broker's own `authorizePublish` has permitted the
 * request. Receives the client itself, because two clients have the same id while one takes over the other's session.
 */
export type AuthorizeControl = (requester: Requester, client: Client) => boolean
