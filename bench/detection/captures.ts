// Labelled captures of the lab: records, attack labels, and newcomer labels.

import { createReadStream } from 'node:fs'
import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readTrainingData } from '../../broker/records/training-data.js'
import { readRecords } from '../../src/join/capture-records.js'
import type { TrafficRecord } from '../../src/record.js'
import type { GuardModel } from '../../src/scoring/guard-model.js'
import { SurpriseMemory } from '../../src/scoring/surprise-memory.js'

/** Lab ports whose MQTT a capture alone can show, and the TLS port. */
export const PORTS: readonly number[] = Object.freeze([1883, 8883])

/** Labels of the scored frames, one entry per frame. */
export interface FrameLabels {
  /** 1 if the attack caused the frame. */
  attack: number[]
  /** 1 if the frame is to or from an attacker's address. */
  byAddress: number[]
  /** 1 if the frame belongs to a benign client that arrived together with the attackers. */
  newcomer: number[]
  /** 1 if the frame is sent to the broker. */
  inbound: number[]
}

/** Labels and scores of a capture. */
export interface ScoredCapture extends FrameLabels {
  /** Per model: the score of each frame, and the scoring time in seconds. */
  models: { scores: number[]; seconds: number }[]
}

/** Reads a table of frames: last field by frame number. */
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

/** Returns at most `most` of the items, sampled evenly. */
export function sampleEvenly<T>(items: readonly T[], most: number): readonly T[] {
  const step = items.length / most
  return step <= 1 ? items : Array.from({ length: most }, (_, i) => items[Math.floor(i * step)])
}

/** Returns all records of captures, as `artemis train` reads them. */
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
 * Scores the records of a capture in order; each model has its own memory. Calls back with the scores of each model.
 *
 * @param maxFrames stops after this many frames
 * @returns scoring time of each model, seconds
 */
export async function scoreFile(
  file: string,
  models: readonly GuardModel[],
  onScored: (record: TrafficRecord, scores: readonly number[]) => void,
  maxFrames = Infinity
): Promise<number[]> {
  const memories = models.map(() => new SurpriseMemory())
  const seconds = models.map(() => 0)
  let frames = 0
  for await (const records of readRecords(createReadStream(file), { ports: PORTS })) {
    const scores = models.map((model, m) => {
      const startedAt = performance.now()
      const judged = model.score(records, memories[m]).scores
      seconds[m] += (performance.now() - startedAt) / 1_000
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
    if (frames >= maxFrames) break
  }
  return seconds
}

/** Scores a capture of the lab. */
export async function scoreLabCapture(
  folder: string,
  name: string,
  models: readonly GuardModel[],
  maxFrames = Infinity
): Promise<ScoredCapture> {
  const [attacks, byAddress, newcomers] = await Promise.all(
    ['labels', 'by-address', 'newcomers'].map(async suffix => await frameTable(join(folder, `${name}.${suffix}.csv`)))
  )
  const judged: ScoredCapture = {
    attack: [],
    byAddress: [],
    newcomer: [],
    inbound: [],
    models: models.map(() => ({ scores: [], seconds: 0 }))
  }
  const isIn = (table: Map<number, string>, frame: number | null): number =>
    Number((table.get(frame ?? 0) ?? '0') !== '0')
  const capture = join(folder, `${name}.pcap`)
  const seconds = await scoreFile(
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
    maxFrames
  )
  seconds.forEach((each, m) => {
    judged.models[m].seconds = each
  })
  return judged
}
