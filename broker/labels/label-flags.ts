// The options --labels and --label-all of `train` and `evaluate`.

import { Option, type Command } from 'commander'
import { labelOf, type Labels } from './label.js'
import { labelAll, readLabels } from './labels.js'

/** The options. */
export interface LabelFlags {
  labels?: string
  labelAll?: string
}

/** Adds the options to a command. */
export function withLabelFlags(command: Command): Command {
  return command
    .option(
      '--labels <file>',
      'label file (CSV): ip,label[,from,to] (either address, epoch seconds), frame,label or file,label; 0 or benign is benign'
    )
    .addOption(new Option('--label-all <name>', 'label for all rows of all files').conflicts('labels'))
}

/**
 * Reads the labels that the options select; undefined if they select none.
 * @throws OperatorError if the label file is invalid
 */
export async function labelsOf(flags: LabelFlags, files: readonly string[]): Promise<Labels | undefined> {
  if (flags.labels !== undefined) return await readLabels(flags.labels, files)
  return flags.labelAll === undefined ? undefined : labelAll(labelOf(flags.labelAll))
}

/** Warns on standard error about labels that match no row, such as a wrong address. */
export function warnUnmatched(flags: LabelFlags, labels: Labels | undefined): void {
  const unmatched = labels?.unmatched() ?? []
  if (unmatched.length === 0) return
  const more = unmatched.length > 3 ? ` and ${unmatched.length - 3} more` : ''
  process.stderr.write(`${flags.labels}: no row matches ${unmatched.slice(0, 3).join(', ')}${more}.\n`)
}
