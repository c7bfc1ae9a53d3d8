// What each of the 31 features must equal in tshark's terms.
import { FEATURES } from '../../src/features/schema.js'
import type { FeatureName, FeatureValues } from '../../src/features/schema.js'
import { FIELDS } from './fields.js'
import type { ReferenceFrame } from './tshark.js'

const IPV6_HEADER_LENGTH = 40
/** The last digit of the mean, and what a double of a long time may be off. */
const TIME_TOLERANCE = 1e-11
const WINDOW = 20

/** Turns what tshark says into the values that the columns must have; frames in the order of the capture. */
export class ReferenceColumns {
  readonly #deltas: number[] = []

  /** Expected values as text, empty for null; numbers in decimal. */
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
    if (field !== undefined) return name === 'mqtt_msg' ? (fields.get(field) ?? '') : plain(fields.get(field) ?? '')
    const isIpv6 = !fields.has('ip.src')
    if (name === 'src_ip') return fields.get(isIpv6 ? 'ipv6.src' : 'ip.src') ?? ''
    if (name === 'dst_ip') return fields.get(isIpv6 ? 'ipv6.dst' : 'ip.dst') ?? ''
    if (name === 'ttl') return fields.get(isIpv6 ? 'ipv6.hlim' : 'ip.ttl') ?? ''
    if (name === 'ip_len')
      return isIpv6 ? String(Number(fields.get('ipv6.plen')) + IPV6_HEADER_LENGTH) : (fields.get('ip.len') ?? '')
    // The nonce sum bit got another name when accurate ECN took it over.
    return name === 'tcp_ns_flag' ? plain(fields.get('tcp.flags.ae') ?? fields.get('tcp.flags.ns') ?? '') : ''
  }
}

/** A number as PDML shows it, in decimal. */
function plain(shown: string): string {
  if (shown === 'True' || shown === 'False') return shown === 'True' ? '1' : '0'
  return shown === '' ? '' : String(Number(shown))
}

/** The columns in which a record differs from what is expected. */
export function differences(values: FeatureValues, expected: ReadonlyMap<FeatureName, string>): FeatureName[] {
  return FEATURES.map(({ name }) => name).filter(name => !isSame(name, values[name], expected.get(name) ?? ''))
}

function isSame(name: FeatureName, value: FeatureValues[FeatureName], expected: string): boolean {
  if (value === null) return expected === ''
  if (name === 'tcp_delta' || name === 'l20_avg')
    return expected !== '' && Math.abs(Number(value) - Number(expected)) <= TIME_TOLERANCE * Math.max(1, Number(value))
  return textOf(value) === expected
}

/** A value as text: bytes in hex. */
export function textOf(value: FeatureValues[FeatureName]): string {
  if (value === null) return ''
  return typeof value === 'object' ? Buffer.from(value).toString('hex') : String(value)
}
