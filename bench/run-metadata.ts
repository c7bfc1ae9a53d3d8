// Date, command and machine of a measurement, as stored with its results.

import os from 'node:os'

/** The metadata of one run. */
export interface RunMetadata {
  /** Year, month and day. */
  date: string
  command: string
  machine: {
    cpu: string
    cores: number
    system: string
    /** Load averages before and after the measurement. */
    loadBefore: string
    loadAfter: string
  }
}

/** Returns the load averages over 1, 5 and 15 minutes. */
export function loadAverages(): string {
  return os
    .loadavg()
    .map(value => value.toFixed(2))
    .join(', ')
}

/**
 * Returns the metadata. Call it after the measurement.
 *
 * @param script name of the npm script
 * @param loadBefore result of {@link loadAverages} before the measurement
 */
export function runMetadata(script: string, loadBefore: string): RunMetadata {
  return {
    date: new Date().toISOString().slice(0, 10),
    command: `npm run ${script} -- ${process.argv.slice(2).join(' ')}`.replace(/ -- $/, ''),
    machine: {
      cpu: os.cpus()[0]?.model ?? 'unknown',
      cores: os.cpus().length,
      system: `${os.type()} ${os.release()} ${os.arch()}`,
      loadBefore,
      loadAfter: loadAverages()
    }
  }
}

/** Formats date, processor and load. */
export function describeRun({ date, machine: { cores, cpu, loadBefore, loadAfter } }: RunMetadata): string {
  return `${date}, ${cores} x ${cpu}; load ${loadBefore} before, ${loadAfter} after.`
}
