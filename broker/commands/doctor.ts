// artemis doctor: what is missing on this machine, in plain words.

import { Command } from 'commander'
import { OperatorError } from '../../src/errors.js'
import { readSettings, type EffectiveSettings, type Flags } from '../config/settings.js'
import { CHECKS } from '../doctor/catalog.js'
import { ok, problem, type Finding, type CheckContext } from '../doctor/finding.js'
import { addSettingsOptions } from './settings-options.js'

const LABELS = { ok: 'ok     ', note: 'note   ', problem: 'PROBLEM' } as const
const INDENT = ' '.repeat(LABELS.ok.length + 1)

/** The `doctor` command. */
export function doctorCommand(): Command {
  const command = new Command('doctor')
    .description('what is missing on this machine, in plain words')
    .addHelpText(
      'after',
      '\nRun it as the user that the broker runs as. It changes nothing. Exit code 1 where there is a problem.'
    )
    .action(async (flags: Flags) => {
      const problems = await examine(flags, finding => {
        process.stdout.write(textOf(finding))
      })
      if (problems > 0)
        throw new OperatorError(
          'doctor',
          problems === 1 ? 'There is a problem.' : `There are ${problems} problems.`,
          'What to do stands above, below each.'
        )
    })
  return addSettingsOptions(command)
}

/** Runs all checks and tells each finding as it comes; returns how many are problems. */
export async function examine(
  flags: Flags,
  tell: (finding: Finding) => void,
  where: Partial<CheckContext> = {}
): Promise<number> {
  let problems = 0
  const take = (finding: Finding): void => {
    if (finding.level === 'problem') problems++
    tell(finding)
  }
  const { effective, finding } = settingsOf(flags)
  take(finding)
  const place: CheckContext = { effective, now: Date.now(), proc: '/proc', ...where }
  for (const check of CHECKS) for (const one of await check(place)) take(one)
  return problems
}

function settingsOf(flags: Flags): { effective: EffectiveSettings | undefined; finding: Finding } {
  try {
    const effective = readSettings(flags)
    return {
      effective,
      finding: ok(
        effective.file === undefined
          ? 'There is no settings file: the defaults hold.'
          : `The settings in ${effective.file} are sound.`
      )
    }
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error
    return {
      effective: undefined,
      finding: problem(error.message, `${error.remedy ?? ''} What depends on the settings was not checked.`.trim())
    }
  }
}

function textOf({ level, message, remedy }: Finding): string {
  const lines = [...message.split('\n'), ...(remedy === undefined ? [] : remedy.split('\n').map(line => `-> ${line}`))]
  return lines.map((line, i) => (i === 0 ? `${LABELS[level]} ` : INDENT) + line).join('\n') + '\n'
}
