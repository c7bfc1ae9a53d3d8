// Which tap opens which target; a new tap is one file and one line here.

import { OperatorError } from '../errors.js'
import type { CaptureOptions, TapSession } from '../types.js'
import { openFile } from './file.js'
import { openLocal } from './local.js'
import type { SshSettings } from './ssh-settings.js'
import type { CaptureTarget, TapTarget } from './target.js'

/** What the configuration says of taps beside the target. */
export type TapSettings = SshSettings

/**
 * Opens a tap; resolves when frames are surely being seen.
 * @throws OperatorError with what to do about it.
 */
export async function openTap(target: CaptureTarget, settings: TapSettings, options: CaptureOptions): Promise<TapSession> {
  switch (target.kind) {
    // Its library takes a good part of the start, and memory, which most run without.
    case 'ssh':
      return await (await import('./ssh.js')).openSsh(target, settings, options)
    case 'local':
      return await openLocal(target, settings, options)
    case 'file':
      return await openFile(target, options)
  }
}

/** A target that needs no more deciding, and for `auto` why it was decided so. */
export interface ResolvedTarget {
  target: CaptureTarget | { kind: 'none' }
  /** In one sentence, for the log; only where `auto` was asked for. */
  decision?: string
  /** What stands in the way of a tap; only where `auto` became `none`. */
  obstacle?: OperatorError
}

/** Decides `auto`: all interfaces of this machine where tcpdump may capture, found out by trying, else no tap. */
export async function resolveTarget(
  target: TapTarget,
  settings: TapSettings,
  options: CaptureOptions
): Promise<ResolvedTarget> {
  if (target.kind !== 'auto') return { target }
  const local: CaptureTarget = { kind: 'local', interface: 'any' }
  try {
    const session = await openTap(local, settings, options)
    await session.close()
    return { target: local, decision: 'Tap: all interfaces of this machine (local:any).' }
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error
    return {
      target: { kind: 'none' },
      decision: `No tap: records will lack the fields of the wire. ${error.message}`,
      obstacle: error
    }
  }
}
