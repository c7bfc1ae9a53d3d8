// Why a port cannot be had, in words that help.

import { OperatorError } from '../../src/errors.js'

/** The error of a server that could not listen, as one that the operator can mend. */
export function listenError(host: string, port: number, cause: NodeJS.ErrnoException): OperatorError {
  const where = `port ${port} on ${host}`
  if (cause.code === 'EADDRINUSE') {
    return new OperatorError(
      'listen',
      `Cannot listen: ${where} is in use by another program.`,
      `Often that is mosquitto ("sudo systemctl stop mosquitto" stops it) or another Artemis. Or take another port: --port ${port + 1}.`,
      { cause }
    )
  }
  if (cause.code === 'EACCES') {
    return new OperatorError(
      'listen',
      `Cannot listen: ${where} needs more rights than this user has.`,
      'Take a port from 1024 up, such as --port 1883.',
      { cause }
    )
  }
  if (cause.code === 'EADDRNOTAVAIL' || cause.code === 'ENOTFOUND') {
    return new OperatorError(
      'listen',
      `Cannot listen: ${host} is no address of this machine.`,
      'Use 127.0.0.1 for this machine alone or 0.0.0.0 for everybody; "ip address" lists what there is.',
      { cause }
    )
  }
  return new OperatorError(
    'listen',
    `Cannot listen: ${where}: ${cause.code ?? cause.message}.`,
    'Check host and port.',
    { cause }
  )
}
