// The address of a broker as a person writes it: mqtt://user:password@host:port.

import { OperatorError } from '../../src/errors.js'
import { printable } from '../terminal/printable.js'

const PORTS: Readonly<Record<string, number>> = { 'mqtt:': 1883, 'mqtts:': 8883 }

/** Where a broker is, and as whom to connect. */
export interface MqttTarget {
  host: string
  port: number
  isTls: boolean
  username: string | undefined
  password: string | undefined
  /** Without the password. */
  shown: string
}

/**
 * Reads the address of a broker; username and password percent-encoded.
 * @throws OperatorError `mqtt-url`
 */
export function parseMqttUrl(text: string): MqttTarget {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const defaultPort = url === undefined ? undefined : PORTS[url.protocol]
  if (url === undefined || defaultPort === undefined || url.hostname === '') {
    throw new OperatorError(
      'mqtt-url',
      `${printable(JSON.stringify(text))} is no address of a broker.`,
      'Write mqtt://host:1883 or mqtts://host:8883, with user:password@ before the host where one is needed.'
    )
  }
  const port = url.port === '' ? defaultPort : Number(url.port)
  return {
    // IPv6 addresses stand in brackets in a URL only.
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
      'A percent sign in the username or password of the address stands for itself.',
      'Write it as %25.'
    )
  }
}
