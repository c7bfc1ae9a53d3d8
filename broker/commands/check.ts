// artemis check: prints the effective settings and the source of each.

import { Command } from 'commander'
import { Document, isScalar } from 'yaml'
import type { Note } from '../mosquitto/note.js'
import { MAX_PATH_LENGTH, printable } from '../terminal/printable.js'
import { readSettings, type EffectiveSettings, type Flags } from '../config/settings.js'
import { addSettingsOptions } from './settings-options.js'

/** The `check` command. */
export function checkCommand(): Command {
  const command = new Command('check')
    .description('print the effective settings as YAML, with the source of each')
    .action((flags: Flags) => {
      process.stdout.write(render(readSettings(flags)))
    })
  return addSettingsOptions(command)
}

/** Formats the settings as a settings file that gives the same settings when read again. */
export function render({ written, sources, file, notes }: EffectiveSettings): string {
  // The output already contains the settings of mosquitto.conf.
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
    ` mosquitto configuration: ${JSON.stringify(file)}`,
    ...(lines.length === 0 ? [' All directives behave as in mosquitto.'] : [' Differences from mosquitto:', ...lines])
  ]
}
