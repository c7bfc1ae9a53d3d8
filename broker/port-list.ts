// The option --mqtt-port of every command that captures or reads captures.

import { InvalidArgumentError } from 'commander'

/**
 * Reads `1883,8883`.
 *
 * @throws InvalidArgumentError where it is no list of TCP ports
 */
export function parsePorts(text: string): number[] {
  const ports = text.split(',').map(Number)
  if (!/^\d+(,\d+)*$/.test(text) || ports.some(port => port < 1 || port > 65_535)) {
    throw new InvalidArgumentError('Write ports from 1 to 65535 with commas between, such as 1883,8883.')
  }
  return ports
}
