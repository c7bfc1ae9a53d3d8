// Cuts small captures out of large ones: a few parties with all their traffic, from the start of the capture.

import { createReadStream } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { CaptureDecoder } from '../../src/decode/capture.js'
import { TcpDecoder } from '../../src/decode/tcp-decoder.js'
import type { CapturedFrame } from '../../src/types.js'
import { pcapFile } from '../../test/decode/craft.js'
import { frameTable, PORTS } from './captures.js'

export interface CutOptions {
  /** Devices and newcomers per kind. */
  perKind: number
  attackers: number
  /** The cut ends after this many frames, or this many attack frames. */
  maxFrames: number
  maxAttackFrames: number
}

export interface CutFigures {
  frames: number
  attack: number
  /** Size of the compressed capture. */
  bytes: number
}

/** Kinds with much traffic that adds little to the traffic of other kinds. */
const TOO_LARGE = ['camera', 'recorder']

interface PartyRow {
  address: string
  role: string
  kind: string
}

/**
 * Cuts `NAME.pcap` and `NAME.labels.csv` of one folder into `NAME.pcap.gz` and `NAME.labels.csv` of another. The new
 * labels file lists attack frames only; it is not written if there are none. A kept party keeps every frame up to the
 * end of the cut, so the state of its connections, addresses and client ids is unchanged.
 */
export async function cutCapture(from: string, name: string, to: string, options: CutOptions): Promise<CutFigures> {
  const chosen = choose(await readParties(join(from, `${name}.parties.csv`)), options)
  const labels = await frameTable(join(from, `${name}.labels.csv`))
  const tcp = new TcpDecoder(new Set(PORTS))
  const kept: CapturedFrame[] = []
  const attacks: string[] = []
  let number = 0
  const isOver = (): boolean => kept.length >= options.maxFrames || attacks.length >= options.maxAttackFrames
  const decoder = new CaptureDecoder(captured => {
    const frame = tcp.decode(captured, ++number)
    if (frame === null || isOver() || !(chosen.has(frame.ip.source) || chosen.has(frame.ip.destination))) return
    // The bytes are a view of the read buffer.
    kept.push({ ...captured, bytes: Buffer.from(captured.bytes) })
    const label = labels.get(number) ?? '0'
    if (label !== '0') attacks.push(`${kept.length},${label}`)
  })
  for await (const chunk of createReadStream(join(from, `${name}.pcap`))) decoder.push(chunk as Buffer)
  decoder.end()
  const compressed = gzipSync(pcapFile(kept), { level: 9 })
  await writeFile(join(to, `${name}.pcap.gz`), compressed)
  if (attacks.length > 0) await writeFile(join(to, `${name}.labels.csv`), `${['frame,label', ...attacks].join('\n')}\n`)
  return { frames: kept.length, attack: attacks.length, bytes: compressed.length }
}

async function readParties(path: string): Promise<PartyRow[]> {
  const lines = (await readFile(path, 'utf8')).trim().split('\n').slice(1)
  return lines.map(line => {
    const [address, role, kind] = line.split(',')
    return { address, role, kind }
  })
}

function choose(parties: readonly PartyRow[], { perKind, attackers }: CutOptions): Set<string> {
  const counts = new Map<string, number>()
  return new Set(
    parties
      .filter(({ role, kind }) => {
        if (role !== 'attacker' && TOO_LARGE.includes(kind)) return false
        const key = `${role} ${kind}`
        const count = (counts.get(key) ?? 0) + 1
        counts.set(key, count)
        return count <= (role === 'attacker' ? attackers : perKind)
      })
      .map(({ address }) => address)
  )
}
