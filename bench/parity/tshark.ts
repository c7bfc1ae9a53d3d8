// Runs tshark on a capture and reads its PDML, packet by packet.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { FIELDS } from './fields.js'

/** tshark's fields of one frame: the first value of each field in the first layer of its kind. */
export interface ReferenceFrame {
  number: number
  fields: ReadonlyMap<string, string>
  /** Number of IP layers; more than one in a tunnel. */
  ipLayers: number
  /** Names of the layers at the top level. */
  layers: ReadonlySet<string>
}

/** IANA's port for MQTT over TLS; do not let tshark decode it as plain MQTT. */
const SECURE_MQTT = 8883

/** Layers whose fields are read, each from its first occurrence at the top level. */
const LAYERS: ReadonlySet<string> = new Set(['frame', 'ip', 'ipv6', 'tcp', 'mqtt'])
/** Fields that are read as bytes. */
const BYTE_FIELDS: ReadonlySet<string> = new Set(['mqtt.msg'])
const FIELD = /^\s*<field name="([^"]*)"/
const TOP_LAYER = /^ {2}<proto name="([^"]*)"/

/** Returns the first line of `tshark --version`, or null if tshark is missing. */
export function tsharkVersion(): string | null {
  const { status, stdout } = spawnSync('tshark', ['--version'], { encoding: 'utf8' })
  return status === 0 ? stdout.split('\n')[0] : null
}

/** Options that make tshark decode as the features are defined. */
function settings(ports: readonly number[]): string[] {
  const decodeAs = ports.filter(port => port !== SECURE_MQTT).flatMap(port => ['-d', `tcp.port==${port},mqtt`])
  return ['-n', '-o', 'tcp.check_checksum:FALSE', '-o', 'tcp.reassemble_out_of_order:TRUE', ...decodeAs]
}

/** Arguments with which tshark writes the columns of `extract` that are its own fields. */
export function tsharkColumns(file: string, ports: readonly number[]): string[] {
  const fields = [
    'frame.number',
    'frame.time_epoch',
    'ip.src',
    'ip.dst',
    'ip.len',
    'ip.ttl',
    ...Object.values(FIELDS),
    'tcp.flags.ae'
  ]
  return [
    ...settings(ports),
    '-T',
    'fields',
    '-E',
    'occurrence=f',
    '-E',
    'separator=,',
    ...fields.flatMap(field => ['-e', field]),
    '-r',
    file
  ]
}

/** Reads the TCP frames of a capture with tshark. */
export async function* referenceFrames(file: string, ports: readonly number[]): AsyncGenerator<ReferenceFrame> {
  const filter = ports.map(port => `tcp.port==${port}`).join(' or ')
  const tshark = spawn(
    'tshark',
    [...settings(ports), '-T', 'pdml', '-J', [...LAYERS].join(' '), '-Y', filter, '-r', file],
    { stdio: ['ignore', 'pipe', 'pipe'] }
  )
  let stderr = ''
  tshark.stderr.on('data', chunk => {
    stderr += String(chunk)
  })
  const closed = once(tshark, 'close')
  const packet = new PacketReader()
  for await (const line of createInterface({ input: tshark.stdout, crlfDelay: Infinity })) {
    const frame = packet.read(line)
    if (frame !== null) yield frame
  }
  const [code] = (await closed) as [number | null]
  if (code !== 0) process.stderr.write(`tshark exited with ${String(code)}: ${stderr}\n`)
}

/** Collects the lines of each `<packet>`. */
class PacketReader {
  #fields = new Map<string, string>()
  #layers = new Set<string>()
  #layer = ''
  #ipLayers = 0

  /** Returns the frame after its last line, otherwise null. */
  read(line: string): ReferenceFrame | null {
    if (line.startsWith('<packet>')) this.#start()
    else if (line.startsWith('</packet>')) return this.#end()
    const field = FIELD.exec(line)
    if (field !== null) this.#readField(field[1], line)
    else this.#readLayer(TOP_LAYER.exec(line)?.[1])
    return null
  }

  #start(): void {
    this.#fields = new Map()
    this.#layers = new Set()
    this.#ipLayers = 0
  }

  #end(): ReferenceFrame {
    return {
      number: Number(this.#fields.get('frame.number')),
      fields: this.#fields,
      ipLayers: this.#ipLayers,
      layers: this.#layers
    }
  }

  #readLayer(name: string | undefined): void {
    if (name === undefined) return
    if (name === 'ip' || name === 'ipv6') this.#ipLayers++
    this.#layer = LAYERS.has(name) && !this.#layers.has(name) ? name : ''
    this.#layers.add(name)
  }

  #readField(name: string, line: string): void {
    if (this.#layer === '' || this.#fields.has(name)) return
    const attribute = BYTE_FIELDS.has(name) ? 'value' : 'show'
    this.#fields.set(name, new RegExp(` ${attribute}="([^"]*)"`).exec(line)?.[1] ?? '')
  }
}
