// Opens the tap for a target; a new tap needs one file and one line here.

import { OperatorError } from '../errors.js'
import type { CaptureOptions, TapSession } from '../types.js'
import { openFile } from './file.js'
import { openLocal } from './local.js'
import type { SshSettings } from './ssh-settings.js'
import type { CaptureTarget, TapTarget } from './target.js'

/** Settings of a tap other than its target. */
export type TapSettings = SshSettings

/**
 * Opens a tap; resolves when it is capturing.
 * @throws OperatorError with a remedy.
 */
export async function openTap(
  target: CaptureTarget,
  settings: TapSettings,
  options: CaptureOptions
): Promise<TapSession> {
  switch (target.kind) {
    // Loaded on demand: ssh2 slows the start and uses memory, and most brokers do not need it.
    case 'ssh':
      return await (await import('./ssh.js')).openSsh(target, settings, options)
    case 'local':
      return await openLocal(target, settings, options)
    case 'file':
      return await openFile(target, options)
  }
}

/** A resolved target, with the reason if it was `auto`. */
export interface ResolvedTarget {
  target: CaptureTarget | { kind: 'none' }
  /** One sentence for the log; only for `auto`. */
  decision?: string
  /** Why no tap can be opened; only if `auto` became `none`. */
  obstacle?: OperatorError
}

/** Resolves `auto`: tries to capture on all interfaces of this machine with tcpdump; if that fails, no tap. */
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
      decision: `No tap: records have no wire features. ${error.message}`,
      obstacle: error
    }
  }
}
