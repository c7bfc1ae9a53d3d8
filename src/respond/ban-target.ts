// A ban by an operator or a plug-in user.

import { OperatorError } from '../errors.js'
import type { Observer } from '../observe/observer.js'
import { clientEndpoint } from '../record.js'
import type { Ban } from './bans.js'
import type { Gate } from './gate.js'

/**
 * Bans an address, a client id, or a client id at an address, and disconnects the clients concerned.
 *
 * @param address in the form of `normaliseAddress`
 * @throws OperatorError `control-request` if both are null, `control-allowed` if the target is on the allow-list
 */
export function banTarget(
  { address, clientId }: Pick<Ban, 'address' | 'clientId'>,
  seconds: number,
  gate: Gate,
  observer: Observer
): { ban: Ban; disconnected: number } {
  if (address === null && clientId === null) throw missingTarget()
  if (gate.allow.has(address ?? '', clientId)) {
    throw new OperatorError(
      'control-allowed',
      `${address ?? clientId} is on the allow-list`,
      'Remove it first: artemis allow --remove, or response.allow in the settings.'
    )
  }
  const ban = gate.bans.add(address, clientId, seconds, 'operator')
  let disconnected = 0
  for (const one of [...observer.live()]) {
    const matches =
      (address === null || clientEndpoint(one).address === address) && (clientId === null || one.clientId === clientId)
    if (matches && gate.expel(one.id)) disconnected++
  }
  return { ban, disconnected }
}

/** Neither an address nor a client id was given. */
export function missingTarget(): OperatorError {
  return new OperatorError('control-request', 'No target given', 'Give an address, a clientId, or both.')
}
