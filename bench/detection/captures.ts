// Labelled captures as the lab writes them: records, who is attacked by what, and who is merely new.

import { createReadStream } from 'node:fs'
import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readTrainingData } from '../../broker/training-data.js'
import { readRecords } from '../../src/join/capture-records.js'
import type { TrafficRecord } from '../../src/record.js'
import type { GuardModel } from '../../src/scoring/guard-model.js'
import { SurpriseMemory } from '../../src/scoring/surprise-memory.js'

/** Ports of the lab whose MQTT a capture alone can show, and those of TLS. */
export const PORTS: readonly number[] = Object.freeze([1883, 8883])

/** Scores of a capture's records beside what they are. */
export interface Judged {
  scores: number[]
  /** 1 for frames of the attack. */
  attack: number[]
  /** 1 for frames of benign parties that came when the attackers came. */
  newcomer: number[]
}

/** What a table of frames says of each, by number. */
export async function frameTable (path: string, separator = ','): Promise<Map<number, string>> {
  const lines = (await readFile(path, 'utf8')).trim().split('\n').slice(1)
  return new Map(lines.map(line => {
    const fields = line.split(separator)
    return [Number(fields[0]), fields[fields.length - 1].trim()]
  }))
}

export async function exists (path: string): Promise<boolean> {
  return await access(path).then(() => true, () => false)
}

/** At most `most` of the records, evenly over time. */
export function evenly<T> (items: readonly T[], most: number): readonly T[] {
  const step = items.length / most
  return step <= 1 ? items : Array.from({ length: most }, (_, i) => items[Math.floor(i * step)])
}

/** All records of captures, as `artemis train` reads them. */
export async function recordsOf (files: readonly string[]): Promise<TrafficRecord[]> {
  const { records } = await readTrainingData(files, { ports: PORTS, signal: new AbortController().signal }, undefined, 1)
  return records
}

/** Judges a capture's records in their order, each model with a memory of its own; calls back with the scores of each model. */
export async function judgeFile (file: string, models: readonly GuardModel[], onScored: (record: TrafficRecord, scores: readonly number[]) => void): Promise<void> {
  const memories = models.map(() => new SurpriseMemory())
  for await (const records of readRecords(createReadStream(file), { ports: PORTS })) {
    const scores = models.map((model, m) => model.judge(records, memories[m]).scores)
    records.forEach((record, i) => {
      if (!record.own && !Number.isNaN(scores[0][i])) onScored(record, scores.map(each => each[i]))
    })
  }
}

/** Judges a capture of the lab. */
export async function judgeLab (folder: string, name: string, models: readonly GuardModel[]): Promise<Judged[]> {
  const labels = await frameTable(join(folder, `${name}.labels.csv`))
  const newcomers = await frameTable(join(folder, `${name}.newcomers.csv`))
  const judged = models.map((): Judged => ({ scores: [], attack: [], newcomer: [] }))
  await judgeFile(join(folder, `${name}.pcap`), models, ({ frame }, scores) => {
    const attack = Number((labels.get(frame ?? 0) ?? '0') !== '0')
    const newcomer = Number((newcomers.get(frame ?? 0) ?? '0') !== '0')
    judged.forEach((each, m) => {
      each.scores.push(scores[m])
      each.attack.push(attack)
      each.newcomer.push(newcomer)
    })
  })
  return judged
}
