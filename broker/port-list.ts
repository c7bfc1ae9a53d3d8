// Parses the option --mqtt-port.

import { InvalidArgumentError } from 'commander'

/**
 * Parses a list of ports such as `1883,8883`.
 *
 * @throws InvalidArgumentError if it is not a list of TCP ports
 */
export function parsePorts(text: string): number[] {
  const ports = text.split(',').map(Number)
  if (!/^\d+(,\d+)*$/.test(text) || ports.some(port => port < 1 || port > 65_535)) {
    throw new InvalidArgumentError('Give comma-separated ports from 1 to 65535, such as 1883,8883.')
  }
  return ports
}
