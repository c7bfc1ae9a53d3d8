// What a plug-in user imports.

import { EventEmitter } from 'node:events'
import type { Aedes } from 'aedes'

export { FEATURES } from './features/schema.js'

/** What may be set; every part has a default. */
export interface ArtemisOptions {
  tap?: { target?: string, identity?: string, knownHosts?: string, hostKey?: string, sudo?: boolean, snapLength?: number }
  ports?: number[]
  payloadCapBytes?: number
  detector?: { kind?: 'iforest', contamination?: number, seed?: number, model?: string }
  learn?: { seconds?: number, minimumRecords?: number }
  alert?: { weight?: number, batchRecords?: number, batchMs?: number }
  response?: { action?: 'observe' | 'disconnect' | 'ban', banSeconds?: number }
  report?: { records?: string, eve?: string }
  logger?: ArtemisLogger
}

/** The part of a pino logger that is used. */
export interface ArtemisLogger {
  debug (fields: object, message: string): void
  info (fields: object, message: string): void
  warn (fields: object, message: string): void
  error (fields: object, message: string): void
}

/** The plug-in at work; emits `status`, `alert` and `log`. */
export interface Artemis extends EventEmitter {
  status (): Record<string, unknown>
  close (): Promise<void>
}

/** Attaches to a broker; to be awaited before any listener is created. */
export async function artemis (aedes: Aedes, options: ArtemisOptions): Promise<Artemis> {
  void aedes
  void options
  return Object.assign(new EventEmitter(), {
    status: () => ({ state: 'off' }),
    close: async () => {}
  })
}
