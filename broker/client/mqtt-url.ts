// Parses broker addresses: mqtt://user:password@host:port.

import { OperatorError } from '../../src/errors.js'
import { printable } from '../terminal/printable.js'

const PORTS: Readonly<Record<string, number>> = { 'mqtt:': 1883, 'mqtts:': 8883 }

/** Address and credentials of a broker. */
export interface MqttTarget {
  host: string
  port: number
  isTls: boolean
  username: string | undefined
  password: string | undefined
  /** The address without credentials, for messages. */
  shown: string
}

/**
 * Parses the address of a broker, with percent-encoded username and password.
 * @throws OperatorError `mqtt-url`
 */
export function parseMqttUrl(text: string): MqttTarget {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const defaultPort = url === undefined ? undefined : PORTS[url.protocol]
  if (url === undefined || defaultPort === undefined || url.hostname === '') {
    throw new OperatorError(
      'mqtt-url',
      `Invalid broker address: ${printable(JSON.stringify(text))}.`,
      'Use mqtt://host:1883 or mqtts://host:8883, with user:password@ before the host if required.'
    )
  }
  const port = url.port === '' ? defaultPort : Number(url.port)
  return {
    // Only URLs put IPv6 addresses in brackets.
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port,
    isTls: url.protocol === 'mqtts:',
    username: url.username === '' ? undefined : decoded(url.username),
    password: url.password === '' ? undefined : decoded(url.password),
    shown: printable(`${url.protocol}//${url.hostname}:${port}`)
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new OperatorError(
      'mqtt-url',
      'Invalid percent-encoding in the username or password of the broker address.',
      'Write a percent sign as %25.'
    )
  }
}
