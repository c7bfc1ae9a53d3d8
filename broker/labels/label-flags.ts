// The flags --labels and --label-all of `train` and `evaluate`.

import { Option, type Command } from 'commander'
import { labelOf, type Labels } from './label.js'
import { labelAll, readLabels } from './labels.js'

/** The flags, as given. */
export interface LabelFlags {
  labels?: string
  labelAll?: string
}

/** Adds the flags to a command. */
export function withLabelFlags(command: Command): Command {
  return command
    .option(
      '--labels <file>',
      'CSV of labels: ip,label[,from,to] (either address, epoch seconds), frame,label or file,label; 0 or benign is benign'
    )
    .addOption(new Option('--label-all <name>', 'the label of every row of all files').conflicts('labels'))
}

/**
 * The labels that the flags ask for; undefined where they ask for none.
 * @throws OperatorError where the label file does not serve
 */
export async function labelsOf(flags: LabelFlags, files: readonly string[]): Promise<Labels | undefined> {
  if (flags.labels !== undefined) return await readLabels(flags.labels, files)
  return flags.labelAll === undefined ? undefined : labelAll(labelOf(flags.labelAll))
}

/** Says on standard error which labels met no row: a wrong address labels nothing, and nobody would notice. */
export function noteUnmatched(flags: LabelFlags, labels: Labels | undefined): void {
  const unmatched = labels?.unmatched() ?? []
  if (unmatched.length === 0) return
  const more = unmatched.length > 3 ? ` and ${unmatched.length - 3} more` : ''
  process.stderr.write(`${flags.labels}: no row has ${unmatched.slice(0, 3).join(', ')}${more}.\n`)
}
