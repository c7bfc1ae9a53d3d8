// artemis doctor: checks this machine and the settings for problems.

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
    .description('check this machine and the settings for problems')
    .addHelpText(
      'after',
      '\nRun it as the user that runs the broker. It changes nothing. The exit code is 1 if there is a problem.'
    )
    .action(async (flags: Flags) => {
      const problems = await examine(flags, finding => {
        process.stdout.write(textOf(finding))
      })
      if (problems > 0)
        throw new OperatorError(
          'doctor',
          problems === 1 ? '1 problem found.' : `${problems} problems found.`,
          'See the remedies above.'
        )
    })
  return addSettingsOptions(command)
}

/** Runs all checks and passes each finding to `onFinding`. Returns the number of problems. */
export async function examine(
  flags: Flags,
  onFinding: (finding: Finding) => void,
  overrides: Partial<CheckContext> = {}
): Promise<number> {
  let problems = 0
  const report = (finding: Finding): void => {
    if (finding.level === 'problem') problems++
    onFinding(finding)
  }
  const { effective, finding } = settingsOf(flags)
  report(finding)
  const context: CheckContext = { effective, now: Date.now(), proc: '/proc', ...overrides }
  for (const check of CHECKS) for (const found of await check(context)) report(found)
  return problems
}

function settingsOf(flags: Flags): { effective: EffectiveSettings | undefined; finding: Finding } {
  try {
    const effective = readSettings(flags)
    return {
      effective,
      finding: ok(
        effective.file === undefined
          ? 'No settings file: using the defaults.'
          : `The settings in ${effective.file} are valid.`
      )
    }
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error
    return {
      effective: undefined,
      finding: problem(error.message, `${error.remedy ?? ''} Checks that depend on the settings were skipped.`.trim())
    }
  }
}

function textOf({ level, message, remedy }: Finding): string {
  const lines = [...message.split('\n'), ...(remedy === undefined ? [] : remedy.split('\n').map(line => `-> ${line}`))]
  return lines.map((line, i) => (i === 0 ? `${LABELS[level]} ` : INDENT) + line).join('\n') + '\n'
}
