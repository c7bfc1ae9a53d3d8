// The settings that limit the resources of a client; the defaults suit a Raspberry Pi.

import * as v from 'valibot'
import { duration, optionalDuration, optionalSize, optionalWholeNumber, size } from './rules.js'

/** Limits, described in docs/limits.md; null means no limit. */
export const limitsSchema = v.strictObject({
  packetSize: size('16MiB', '20B', '256MiB'),
  messageSize: optionalSize(null, '1B', '256MiB'),
  connectTimeout: duration('30s', '1s', '10m'),
  connections: optionalWholeNumber(1000, 1, 1_000_000),
  connectionsPerAddress: optionalWholeNumber(200, 1, 1_000_000),
  messagesPerSecond: optionalWholeNumber(1000, 1, 10_000_000),
  bytesPerSecond: optionalSize('4MiB', '1KiB', '1024MiB'),
  queuedMessages: optionalWholeNumber(1000, 1, 10_000_000),
  queuedBytes: optionalSize('16MiB', '1KiB', '1024MiB'),
  retainedMessages: optionalWholeNumber(10_000, 1, 10_000_000),
  retainedBytes: optionalSize('64MiB', '1KiB', '16384MiB'),
  sessions: optionalWholeNumber(1000, 1, 1_000_000),
  sessionExpiry: optionalDuration('60d', '1s', '36500d'),
  inflightMessages: optionalWholeNumber(20, 1, 65_535),
  subscriptionsPerClient: optionalWholeNumber(10_000, 1, 1_000_000),
  topicsPerClient: optionalWholeNumber(10_000, 1, 1_000_000),
  keepalive: optionalDuration(null, '10s', '65535s'),
  loginAttempts: v.optional(
    v.strictObject({
      perAddress: optionalWholeNumber(20, 1, 1_000_000),
      perUser: optionalWholeNumber(100, 1, 1_000_000),
      window: duration('5m', '1s', '1d')
    }),
    {}
  )
})
