// artemis check: prints the settings in force, and where each came from.

import { Command } from 'commander'
import { Document, isScalar } from 'yaml'
import type { Note } from '../mosquitto/note.js'
import { MAX_PATH_LENGTH, printable } from '../terminal/printable.js'
import { readSettings, type EffectiveSettings, type Flags } from '../config/settings.js'
import { addSettingsOptions } from './settings-options.js'

/** The `check` command. */
export function checkCommand(): Command {
  const command = new Command('check')
    .description('print the settings in force as YAML, and where each came from')
    .action((flags: Flags) => {
      process.stdout.write(render(readSettings(flags)))
    })
  return addSettingsOptions(command)
}

/** Settings as a settings file: reading it again gives the same. */
export function render({ written, sources, file, notes }: EffectiveSettings): string {
  // It says by itself what the other file said.
  const document = new Document({ ...written, mosquitto: null }, { aliasDuplicateObjects: false })
  document.commentBefore = [
    file === undefined ? ' No settings file.' : ` Settings file: ${JSON.stringify(file)}`,
    ...(typeof written.mosquitto === 'string' ? mosquittoLines(written.mosquitto, notes) : [])
  ].join('\n')
  for (const [key, source] of sources) {
    const scalar = document.getIn(
      key
        .split(/[.[\]]+/)
        .filter(part => part !== '')
        .map(part => (/^\d+$/.test(part) ? Number(part) : part)),
      true
    )
    if (isScalar(scalar)) scalar.comment = ` ${printable(source, MAX_PATH_LENGTH)}`
  }
  return document.toString({ lineWidth: 0 })
}

function mosquittoLines(file: string, notes: readonly Note[]): string[] {
  const lines = notes.map(
    ({ place, name, support, text }) =>
      `   ${printable(place, MAX_PATH_LENGTH)}: ${printable(name)}: ${support}: ${text}`
  )
  return [
    ` mosquitto's configuration: ${JSON.stringify(file)}`,
    ...(lines.length === 0 ? [' All of it does here what it does there.'] : [' What is different here:', ...lines])
  ]
}
