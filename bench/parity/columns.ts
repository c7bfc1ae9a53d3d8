// The expected value of each of the 31 features, from tshark's fields.
import { FEATURES } from '../../src/features/schema.js'
import type { FeatureName, FeatureValues } from '../../src/features/schema.js'
import { FIELDS } from './fields.js'
import type { ReferenceFrame } from './tshark.js'

const IPV6_HEADER_LENGTH = 40
/** Tolerance for the last digit of the mean and for rounding of large timestamps. */
const TIME_TOLERANCE = 1e-11
const WINDOW = 20

/** Converts tshark fields to expected column values; call it with frames in capture order. */
export class ReferenceColumns {
  readonly #deltas: number[] = []

  /** Returns expected values as text, empty for null; numbers in decimal. */
  of(frame: ReferenceFrame): Map<FeatureName, string> {
    const expected = new Map<FeatureName, string>()
    for (const { name } of FEATURES) expected.set(name, this.#value(name, frame.fields))
    const recent = this.#deltas.slice(-WINDOW)
    expected.set(
      'l20_avg',
      String(recent.length === 0 ? 0 : recent.reduce((sum, delta) => sum + delta, 0) / recent.length)
    )
    this.#deltas.push(Number(expected.get('tcp_delta')))
    return expected
  }

  #value(name: FeatureName, fields: ReadonlyMap<string, string>): string {
    const field = FIELDS[name]
    if (field !== undefined) return name === 'mqtt_msg' ? (fields.get(field) ?? '') : decimal(fields.get(field) ?? '')
    const isIpv6 = !fields.has('ip.src')
    if (name === 'src_ip') return fields.get(isIpv6 ? 'ipv6.src' : 'ip.src') ?? ''
    if (name === 'dst_ip') return fields.get(isIpv6 ? 'ipv6.dst' : 'ip.dst') ?? ''
    if (name === 'ttl') return fields.get(isIpv6 ? 'ipv6.hlim' : 'ip.ttl') ?? ''
    if (name === 'ip_len')
      return isIpv6 ? String(Number(fields.get('ipv6.plen')) + IPV6_HEADER_LENGTH) : (fields.get('ip.len') ?? '')
    // The nonce sum bit was renamed for accurate ECN.
    return name === 'tcp_ns_flag' ? decimal(fields.get('tcp.flags.ae') ?? fields.get('tcp.flags.ns') ?? '') : ''
  }
}

/** Converts a number in PDML to decimal. */
function decimal(shown: string): string {
  if (shown === 'True' || shown === 'False') return shown === 'True' ? '1' : '0'
  return shown === '' ? '' : String(Number(shown))
}

/** Returns the columns in which a record differs from the expected values. */
export function differences(values: FeatureValues, expected: ReadonlyMap<FeatureName, string>): FeatureName[] {
  return FEATURES.map(({ name }) => name).filter(name => !isSame(name, values[name], expected.get(name) ?? ''))
}

function isSame(name: FeatureName, value: FeatureValues[FeatureName], expected: string): boolean {
  if (value === null) return expected === ''
  if (name === 'tcp_delta' || name === 'l20_avg')
    return expected !== '' && Math.abs(Number(value) - Number(expected)) <= TIME_TOLERANCE * Math.max(1, Number(value))
  return textOf(value) === expected
}

/** Formats a value as text; bytes in hex. */
export function textOf(value: FeatureValues[FeatureName]): string {
  if (value === null) return ''
  return typeof value === 'object' ? Buffer.from(value).toString('hex') : String(value)
}
