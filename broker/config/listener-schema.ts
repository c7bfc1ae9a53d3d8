// The settings of a listener: address, protocol, TLS and authentication.

import { isIP } from 'node:net'
import * as v from 'valibot'
import {
  flag,
  listOf,
  requiredFilePath,
  oneOf,
  optionalFilePath,
  optionalFlag,
  optionalText,
  optionalWholeNumber,
  wholeNumber
} from './rules.js'

const HOST = 'an address of this machine, such as 127.0.0.1, ::1, 0.0.0.0 or localhost'

const host = v.optional(
  v.pipe(
    v.string(HOST),
    v.check(value => isIP(value) !== 0 || /^[A-Za-z0-9]([A-Za-z0-9.-]{0,252})$/.test(value), HOST)
  ),
  '127.0.0.1'
)

const NETWORK = 'an address or a network, such as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32'

const ORIGIN = 'an origin as browsers send it, such as https://panel.example or http://192.0.2.7:8123, or * for any'

/** Authentication and access rules, of `auth` and of a listener. In a listener, null means as in `auth`. */
const AUTH = {
  allowAnonymous: optionalFlag(),
  passwordFile: optionalFilePath(),
  aclFile: optionalFilePath()
}

const tls = v.optional(
  v.nullable(
    v.pipe(
      v.strictObject({
        cert: requiredFilePath(),
        key: requiredFilePath(),
        ca: optionalFilePath(),
        requireClientCertificate: flag(false),
        identityAsUsername: flag(false)
      }),
      v.forward(
        v.check(
          ({ ca, requireClientCertificate }) => ca !== null || !requireClientCertificate,
          'a path if requireClientCertificate is true'
        ),
        ['ca']
      ),
      v.forward(
        v.check(
          ({ requireClientCertificate, identityAsUsername }) => requireClientCertificate || !identityAsUsername,
          'true if identityAsUsername is true'
        ),
        ['requireClientCertificate']
      )
    )
  ),
  null
)

/** One listener. */
export const listenerSchema = v.strictObject({
  host,
  port: wholeNumber(1883, 0, 65535),
  protocol: oneOf('mqtt', ['mqtt', 'websockets']),
  path: optionalText(/^\/[\x21-\x7e]{0,255}$/, 'a path that starts with /, such as /mqtt'),
  maxConnections: optionalWholeNumber(null, 1, 1_000_000),
  tls,
  proxy: listOf(NETWORK, isNetwork),
  origins: listOf(ORIGIN, isOrigin),
  ...AUTH
})

/** The default authentication of listeners. */
export const authSchema = v.strictObject(AUTH)

/** Whether a text is an address or a CIDR prefix (RFC 4632, section 3.1; RFC 4291, section 2.3). */
function isNetwork(text: string): boolean {
  const [address, prefix, ...more] = text.split('/') as [string, string?, ...string[]]
  const family = isIP(address)
  if (family === 0 || more.length > 0) return false
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128))
}

function isOrigin(text: string): boolean {
  return text === '*' || (URL.canParse(text) && new URL(text).origin === text.toLowerCase())
}
