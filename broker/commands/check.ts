// artemis check: prints the settings in force, and where each came from.

import { Command } from 'commander'
import { Document, isScalar } from 'yaml'
import { readSettings, type EffectiveSettings, type Flags } from '../config/settings.js'
import { addSettingsOptions } from './settings-options.js'

/** The `check` command. */
export function checkCommand (): Command {
  const command = new Command('check')
    .description('print the settings in force as YAML, and where each came from')
    .action((flags: Flags) => { process.stdout.write(render(readSettings(flags))) })
  return addSettingsOptions(command)
}

/** Settings as a settings file: reading it again gives the same. */
export function render ({ written, sources, file }: EffectiveSettings): string {
  const document = new Document(written)
  document.commentBefore = file === undefined ? ' No settings file.' : ` Settings file: ${JSON.stringify(file)}`
  for (const [key, source] of sources) {
    const scalar = document.getIn(key.split(/[.[\]]+/).map(part => /^\d+$/.test(part) ? Number(part) : part), true)
    if (isScalar(scalar)) scalar.comment = ` ${source}`
  }
  return document.toString({ lineWidth: 0 })
}
