// What a directive's value is as a setting of artemis.yaml.

import path from 'node:path'

/** Makes the value of a setting; `folder` is where relative paths count from. */
type Convert = (value: string, folder: string) => unknown

const number: Convert = value => Number(value)
const flag: Convert = value => value === 'true'
const file: Convert = (value, folder) => path.resolve(folder, value)
/** 0, or less, is no limit in mosquitto. */
const limit: Convert = value => (Number(value) > 0 ? Number(value) : null)
const bytes: Convert = value => (Number(value) > 0 ? `${value}B` : null)
const seconds: Convert = value => `${value}s`
/** Hours, days, weeks, months and years, as mosquitto counts them. */
const DAYS: Readonly<Record<string, number>> = { h: 1 / 24, d: 1, w: 7, m: 30, y: 365 }
const period: Convert = value => `${Math.round(Number(value.slice(0, -1)) * (DAYS[value.slice(-1)] ?? 1) * 24)}h`

/** By key, as in the catalog. */
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

/** Types of messages in mosquitto's log, by the level here from which on they are logged; the least severe counts. */
const LEVELS: readonly [level: string, types: readonly string[]][] = [
  ['debug', ['all', 'debug', 'subscribe', 'unsubscribe', 'websockets', 'internal']],
  ['info', ['information', 'notice']],
  ['warn', ['warning']],
  ['error', ['error']],
  ['silent', ['none']]
]

/** The level that a type of log_type stands for; undefined where mosquitto knows no such type. */
export function logLevelOf(type: string): string | undefined {
  return LEVELS.find(([, types]) => types.includes(type))?.[0]
}

/** The least severe of levels. */
export function leastSevere(a: string, b: string): string {
  const rank = (level: string): number => LEVELS.findIndex(([name]) => name === level)
  return rank(a) <= rank(b) ? a : b
}

/** Where log_dest can send to: words that may stand first in it. */
export const LOG_DESTINATIONS: readonly string[] = ['stdout', 'stderr', 'syslog', 'topic', 'file', 'dlt', 'none']
