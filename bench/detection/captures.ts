// Labelled captures as the lab writes them: records, who is attacked by what, and who is merely new.

import { createReadStream } from 'node:fs'
import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readTrainingData } from '../../broker/records/training-data.js'
import { readRecords } from '../../src/join/capture-records.js'
import type { TrafficRecord } from '../../src/record.js'
import type { GuardModel } from '../../src/scoring/guard-model.js'
import { SurpriseMemory } from '../../src/scoring/surprise-memory.js'

/** Ports of the lab whose MQTT a capture alone can show, and those of TLS. */
export const PORTS: readonly number[] = Object.freeze([1883, 8883])

/** What the judged frames of a capture are; one of each for each frame. */
export interface FrameLabels {
  /** 1 where the frame is there only because of the attack. */
  attack: number[]
  /** 1 where it goes to or comes from an attacker's address. */
  byAddress: number[]
  /** 1 where it is of a benign party that came when the attackers came. */
  newcomer: number[]
  /** 1 where it goes to the broker. */
  inbound: number[]
}

/** A capture as models see it. */
export interface JudgedCapture extends FrameLabels {
  /** For each model the score of each frame, and how long it took to judge them, seconds. */
  models: { scores: number[]; seconds: number }[]
}

/** What a table of frames says of each, by number. */
export async function frameTable(path: string, separator = ','): Promise<Map<number, string>> {
  const lines = (await readFile(path, 'utf8')).trim().split('\n').slice(1)
  return new Map(
    lines.map(line => {
      const fields = line.split(separator)
      return [Number(fields[0]), fields[fields.length - 1].trim()]
    })
  )
}

export async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false
  )
}

/** At most `most` of the items, evenly over all. */
export function evenly<T>(items: readonly T[], most: number): readonly T[] {
  const step = items.length / most
  return step <= 1 ? items : Array.from({ length: most }, (_, i) => items[Math.floor(i * step)])
}

/** All records of captures, as `artemis train` reads them. */
export async function recordsOf(files: readonly string[]): Promise<TrafficRecord[]> {
  const { records } = await readTrainingData(
    files,
    { ports: PORTS, signal: new AbortController().signal },
    undefined,
    1
  )
  return records
}

/**
 * Judges a capture's records in their order, each model with a memory of its own; calls back with the scores of each
 * model.
 *
 * @param mostFrames after which the rest of the capture is left out
 * @returns how long each model took, seconds
 */
export async function judgeFile(
  file: string,
  models: readonly GuardModel[],
  onScored: (record: TrafficRecord, scores: readonly number[]) => void,
  mostFrames = Infinity
): Promise<number[]> {
  const memories = models.map(() => new SurpriseMemory())
  const seconds = models.map(() => 0)
  let frames = 0
  for await (const records of readRecords(createReadStream(file), { ports: PORTS })) {
    const scores = models.map((model, m) => {
      const begun = performance.now()
      const judged = model.judge(records, memories[m]).scores
      seconds[m] += (performance.now() - begun) / 1_000
      return judged
    })
    records.forEach((record, i) => {
      if (!record.own && !Number.isNaN(scores[0][i]))
        onScored(
          record,
          scores.map(each => each[i])
        )
    })
    frames += records.length
    if (frames >= mostFrames) break
  }
  return seconds
}

/** Judges a capture of the lab. */
export async function judgeLab(
  folder: string,
  name: string,
  models: readonly GuardModel[],
  mostFrames = Infinity
): Promise<JudgedCapture> {
  const [attacks, byAddress, newcomers] = await Promise.all(
    ['labels', 'by-address', 'newcomers'].map(async suffix => await frameTable(join(folder, `${name}.${suffix}.csv`)))
  )
  const judged: JudgedCapture = {
    attack: [],
    byAddress: [],
    newcomer: [],
    inbound: [],
    models: models.map(() => ({ scores: [], seconds: 0 }))
  }
  const isIn = (table: Map<number, string>, frame: number | null): number =>
    Number((table.get(frame ?? 0) ?? '0') !== '0')
  const capture = join(folder, `${name}.pcap`)
  const seconds = await judgeFile(
    (await exists(capture)) ? capture : `${capture}.gz`,
    models,
    ({ frame, direction }, scores) => {
      judged.attack.push(isIn(attacks, frame))
      judged.byAddress.push(isIn(byAddress, frame))
      judged.newcomer.push(isIn(newcomers, frame))
      judged.inbound.push(Number(direction === 'in'))
      scores.forEach((score, m) => {
        judged.models[m].scores.push(score)
      })
    },
    mostFrames
  )
  seconds.forEach((each, m) => {
    judged.models[m].seconds = each
  })
  return judged
}
