// The schema of all settings: names, defaults and permitted values.

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

const tapTarget = v.optional(v.pipe(v.string(TAP), v.check(parses(parseLiveTarget), TAP)), 'auto')

const FEATURES = `${PRESETS.join(', ')}, or comma-separated feature names, at least one of them available without a tap`

const features = v.optional(
  v.pipe(
    v.string(FEATURES),
    v.check(
      parses(text => columnsOf(text, 'broker')),
      FEATURES
    )
  ),
  'behaviour'
)

/** The file `artemis.yaml`; every setting is optional. */
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
      hostKey: optionalText(/^SHA256:[A-Za-z0-9+/]{43}=?$/, 'a fingerprint as printed by ssh-keygen -l (SHA256:...)'),
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

/** All settings, parsed: durations in milliseconds, sizes in bytes, paths absolute. */
export type Settings = v.InferOutput<typeof settingsSchema>

/** A node of the schema, for traversal. An optional map may be null. */
export type SchemaPart =
  | { kind: 'map'; entries: Readonly<Record<string, v.GenericSchema>>; isOptional: boolean }
  | { kind: 'list'; item: v.GenericSchema }
  | { kind: 'value'; isPath: boolean; fallback: unknown }

/** Returns a rule's default; typed for rules of any type. */
export const defaultOf: (schema: v.GenericSchema) => unknown = v.getDefault

/** Returns the schema node of a rule. */
export function partOf(schema: v.GenericSchema): SchemaPart {
  // Defaults and "or null" wrap the rule itself.
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

/** Refuses file targets: `artemis replay` is for files. */
function parseLiveTarget(text: string): void {
  if (parseTarget(text).kind === 'file') throw new OperatorError('tap-target', 'a running broker cannot tap a file')
}

/** Turns a parser that throws `OperatorError` into a check. */
function parses(parse: (text: string) => unknown): (text: string) => boolean {
  return text => {
    try {
      parse(text)
      return true
    } catch (error) {
      if (error instanceof OperatorError) return false
      throw error
    }
  }
}
