// Errors of listening on a port, with remedies.

import { OperatorError } from '../../src/errors.js'

/** Converts the error of a server that cannot listen into an operator error. */
export function listenError(host: string, port: number, cause: NodeJS.ErrnoException): OperatorError {
  const where = `port ${port} on ${host}`
  if (cause.code === 'EADDRINUSE') {
    return new OperatorError(
      'listen',
      `Cannot listen: ${where} is in use by another program.`,
      `Stop that program, often mosquitto ("sudo systemctl stop mosquitto") or another Artemis, or use another port: --port ${port + 1}.`,
      { cause }
    )
  }
  if (cause.code === 'EACCES') {
    return new OperatorError(
      'listen',
      `Cannot listen: permission denied for ${where}.`,
      'Use a port from 1024 up, such as --port 1883.',
      { cause }
    )
  }
  if (cause.code === 'EADDRNOTAVAIL' || cause.code === 'ENOTFOUND') {
    return new OperatorError(
      'listen',
      `Cannot listen: ${host} is not an address of this machine.`,
      'Use 127.0.0.1 for this machine only or 0.0.0.0 for all interfaces; "ip address" lists the addresses.',
      { cause }
    )
  }
  return new OperatorError(
    'listen',
    `Cannot listen: ${where}: ${cause.code ?? cause.message}.`,
    'Check the host and port.',
    { cause }
  )
}
