// Every setting of the broker: its name, its default, and what it may be.

import * as v from 'valibot'
import { DETECTOR_KINDS } from '../../models/index.js'
import { OperatorError } from '../../src/errors.js'
import { columnsOf, PRESETS } from '../../src/features/columns.js'
import { ALLOW_FORM, isAllowEntry } from '../../src/respond/allow-list.js'
import { parseTarget } from '../../src/tap/target.js'
import { limitsSchema } from './limits-schema.js'
import { authSchema, listenerSchema } from './listener-schema.js'
import {
  duration,
  filePath,
  flag,
  fraction,
  listOf,
  oneOf,
  optionalFilePath,
  optionalText,
  size,
  wholeNumber
} from './rules.js'

const TAP = 'ssh://user@host[:port]/interface, local:interface, none or auto'

const tapTarget = v.optional(v.pipe(v.string(TAP), v.check(isTaken(parseLiveTarget), TAP)), 'auto')

const FEATURES_RIGHT = `${PRESETS.join(', ')}, or names of features parted by commas, at least one of them known without a tap`

const features = v.optional(
  v.pipe(
    v.string(FEATURES_RIGHT),
    v.check(
      isTaken(text => columnsOf(text, 'broker')),
      FEATURES_RIGHT
    )
  ),
  'behaviour'
)

/** The file `artemis.yaml` as a whole; every part may be left out. */
export const settingsSchema = v.strictObject({
  mosquitto: optionalFilePath(),
  listeners: v.optional(
    v.pipe(v.array(listenerSchema, 'a list of listeners'), v.minLength(1, 'a list of at least one listener')),
    [{}]
  ),
  auth: v.optional(authSchema, {}),
  data: filePath('artemis-data'),
  persistence: flag(true),
  syncWrites: flag(false),
  sysInterval: duration('10s', '0s', '1d'),
  pidFile: optionalFilePath(),
  log: v.optional(
    v.strictObject({
      level: oneOf('info', ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']),
      format: oneOf('auto', ['auto', 'text', 'json']),
      file: optionalFilePath()
    }),
    {}
  ),
  limits: v.optional(limitsSchema, {}),
  tap: v.optional(
    v.strictObject({
      target: tapTarget,
      identity: optionalFilePath(),
      knownHosts: optionalFilePath(),
      hostKey: optionalText(/^SHA256:[A-Za-z0-9+/]{43}=?$/, 'a fingerprint as ssh-keygen -l prints it (SHA256:...)'),
      sudo: flag(false),
      snapLength: size('86B', '66B', '64KiB')
    }),
    {}
  ),
  detector: v.optional(
    v.strictObject({
      kind: oneOf('ocsvm', DETECTOR_KINDS),
      contamination: fraction(0.01, 0, 0.5),
      seed: wholeNumber(1, 0, 2 ** 32 - 1),
      features,
      model: optionalFilePath(),
      payloadCap: size('1KiB', '0B', '64KiB')
    }),
    {}
  ),
  learn: v.optional(
    v.strictObject({
      duration: duration('10m', '0s', '30d'),
      minimumRecords: wholeNumber(2000, 1, 10_000_000)
    }),
    {}
  ),
  alert: v.optional(
    v.strictObject({
      weight: fraction(0.4, 0, 0.99),
      batchRecords: wholeNumber(100, 1, 100_000),
      batchDuration: duration('200ms', '1ms', '1m')
    }),
    {}
  ),
  response: v.optional(
    v.strictObject({
      action: oneOf('observe', ['observe', 'disconnect', 'ban']),
      banDuration: duration('10m', '1s', '30d'),
      allow: listOf(ALLOW_FORM, isAllowEntry)
    }),
    {}
  ),
  caps: v.optional(
    v.strictObject({
      streams: wholeNumber(65_536, 16, 10_000_000),
      earlyBytes: size('1MiB', '1KiB', '1024MiB'),
      earlyBytesInAll: size('32MiB', '64KiB', '1024MiB'),
      earlySegments: wholeNumber(1_024, 1, 1_000_000),
      fragmentedDatagrams: wholeNumber(256, 1, 65_536),
      fragmentBytes: size('8MiB', '64KiB', '1024MiB'),
      heldFrames: wholeNumber(20_000, 1, 10_000_000),
      holdTime: duration('1s', '10ms', '1m'),
      waitingPackets: wholeNumber(10_000, 1, 10_000_000),
      unclaimedStreams: wholeNumber(4_096, 1, 1_000_000),
      ring: size('4MiB', '64KiB', '1024MiB')
    }),
    {}
  ),
  report: v.optional(
    v.strictObject({
      records: optionalFilePath(),
      eve: optionalFilePath()
    }),
    {}
  )
})

/** Every setting, read: durations in milliseconds, sizes in bytes, paths absolute. */
export type Settings = v.InferOutput<typeof settingsSchema>

/** A part of the schema, taken apart for walking over it. A map that is optional may be null as a whole. */
export type SchemaPart =
  | { kind: 'map'; entries: Readonly<Record<string, v.GenericSchema>>; isOptional: boolean }
  | { kind: 'list'; item: v.GenericSchema }
  | { kind: 'value'; isPath: boolean; fallback: unknown }

/** A rule's default, whatever it is: by its type alone, a rule has none. */
export const defaultOf: (schema: v.GenericSchema) => unknown = v.getDefault

/** What a part of the schema holds. */
export function partOf(schema: v.GenericSchema): SchemaPart {
  // A default and "or null" are wrappers around the rule itself.
  let inner: object = schema
  while ('wrapped' in inner) inner = inner.wrapped as object
  if ('entries' in inner) {
    return {
      kind: 'map',
      entries: inner.entries as Record<string, v.GenericSchema>,
      isOptional: defaultOf(schema) === null
    }
  }
  if ('item' in inner) return { kind: 'list', item: inner.item as v.GenericSchema }
  return {
    kind: 'value',
    isPath: v.getMetadata(inner as v.GenericSchema).path === true,
    fallback: defaultOf(schema)
  }
}

/** A file is over at once: `artemis replay` is for files. */
function parseLiveTarget(text: string): void {
  if (parseTarget(text).kind === 'file') throw new OperatorError('tap-target', 'a running broker cannot tap a file')
}

/** Whether a text is one that `read` takes. */
function isTaken(read: (text: string) => unknown): (text: string) => boolean {
  return text => {
    try {
      read(text)
      return true
    } catch (error) {
      if (error instanceof OperatorError) return false
      throw error
    }
  }
}
