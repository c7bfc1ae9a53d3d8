// Converts the values of directives to values of artemis.yaml.

import path from 'node:path'

/** Converts a value; `folder` is the folder that relative paths are resolved from. */
type Convert = (value: string, folder: string) => unknown

const number: Convert = value => Number(value)
const flag: Convert = value => value === 'true'
const file: Convert = (value, folder) => path.resolve(folder, value)
/** In mosquitto, 0 or less means no limit. */
const limit: Convert = value => (Number(value) > 0 ? Number(value) : null)
const bytes: Convert = value => (Number(value) > 0 ? `${value}B` : null)
const seconds: Convert = value => `${value}s`
/** Days per hour, day, week, month and year in mosquitto. */
const DAYS: Readonly<Record<string, number>> = { h: 1 / 24, d: 1, w: 7, m: 30, y: 365 }
const period: Convert = value => `${Math.round(Number(value.slice(0, -1)) * (DAYS[value.slice(-1)] ?? 1) * 24)}h`

/** Converters by the key of the catalog. */
export const VALUES: Readonly<Record<string, Convert | undefined>> = {
  protocol: value => value,
  maxConnections: limit,
  origins: value => [value],
  'tls.cert': file,
  'tls.key': file,
  'tls.ca': file,
  'tls.requireClientCertificate': flag,
  'tls.identityAsUsername': flag,
  allowAnonymous: flag,
  passwordFile: file,
  aclFile: file,
  'limits.packetSize': bytes,
  'limits.messageSize': bytes,
  'limits.keepalive': seconds,
  'limits.inflightMessages': limit,
  'limits.queuedMessages': limit,
  'limits.queuedBytes': bytes,
  'limits.sessionExpiry': period,
  persistence: flag,
  sysInterval: seconds,
  pidFile: file,
  port: number
}

/** The log types of mosquitto by the log level that includes them, least severe first. */
const LEVELS: readonly [level: string, types: readonly string[]][] = [
  ['debug', ['all', 'debug', 'subscribe', 'unsubscribe', 'websockets', 'internal']],
  ['info', ['information', 'notice']],
  ['warn', ['warning']],
  ['error', ['error']],
  ['silent', ['none']]
]

/** Returns the log level of a log type; undefined if mosquitto has no such type. */
export function logLevelOf(type: string): string | undefined {
  return LEVELS.find(([, types]) => types.includes(type))?.[0]
}

/** Returns the less severe of two levels. */
export function leastSevere(a: string, b: string): string {
  const rank = (level: string): number => LEVELS.findIndex(([name]) => name === level)
  return rank(a) <= rank(b) ? a : b
}

/** The destinations of log_dest: the first word of its value. */
export const LOG_DESTINATIONS: readonly string[] = ['stdout', 'stderr', 'syslog', 'topic', 'file', 'dlt', 'none']
