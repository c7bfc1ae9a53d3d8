// artemis service install and uninstall: lists its steps, asks, then installs or removes the systemd service.

import { realpathSync } from 'node:fs'
import { createInterface } from 'node:readline/promises'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { OperatorError } from '../../src/errors.js'
import { portHolder } from '../doctor/port-holder.js'
import { installPlan, uninstallPlan, type Plan } from '../service/plans.js'
import { describe, isStaged, perform, type TargetSystem } from '../service/steps.js'
import { SERVICE } from '../service/unit.js'

interface ServiceFlags {
  dryRun?: boolean
  yes?: boolean
  root: string
  tap?: boolean
  purge?: boolean
}

const PORT = 1883

/** The `service` command. */
export function serviceCommand(): Command {
  const install = withFlags(new Command('install'))
    .description('install the broker as a systemd service with its own user')
    .option('--tap', 'allow capturing on this machine (CAP_NET_RAW for tcpdump only)')
    .action(async (flags: ServiceFlags) => {
      const program = {
        node: realpathSync(process.execPath),
        main: realpathSync(fileURLToPath(new URL('../main.js', import.meta.url)))
      }
      await runPlan(installPlan({ root: flags.root }, program, flags.tap === true, await holderOfPort(flags)), flags)
    })
  const uninstall = withFlags(new Command('uninstall'))
    .description('remove the service; settings and data stay')
    .option('--purge', 'remove settings, data and the user as well')
    .action(async (flags: ServiceFlags) => {
      await runPlan(uninstallPlan({ root: flags.root }, flags.purge === true), flags)
    })
  return new Command('service')
    .description('install the broker as a systemd service, or remove it')
    .addCommand(install)
    .addCommand(uninstall)
}

function withFlags(command: Command): Command {
  return command
    .option('--dry-run', 'print the steps without running them')
    .option('--yes', 'do not ask for confirmation')
    .option('--root <folder>', 'write below this folder and run no commands, for packaging and tests', '/')
}

/** Prints the steps, asks for confirmation, and runs them. */
async function runPlan({ steps, advice }: Plan, flags: ServiceFlags): Promise<void> {
  const machine: TargetSystem = { root: flags.root }
  if (steps.length === 0) say('Nothing to do.')
  else {
    say('This will:')
    for (const step of steps) say(`  ${describe(step, machine)}`)
    if (flags.dryRun === true) return
    checkRights(machine)
    if (flags.yes !== true && !(await confirm())) {
      say('Nothing changed.')
      return
    }
    for (const step of steps) {
      say(`- ${describe(step, machine)}`)
      perform(step, machine)
    }
  }
  if (isStaged(machine)) say(`Nothing outside ${flags.root} was changed, and no service was started.`)
  else for (const line of advice) say(line)
}

function checkRights(machine: TargetSystem): void {
  if (isStaged(machine)) return
  if (process.platform !== 'linux')
    throw new OperatorError(
      'service-system',
      'The service needs Linux with systemd.',
      'Run "artemis broker" with the service manager of this machine.'
    )
  if (process.getuid?.() !== 0)
    throw new OperatorError(
      'service-root',
      'Only root may install or remove the service.',
      'Run it again with sudo, or use --dry-run to see the steps.'
    )
}

async function confirm(): Promise<boolean> {
  if (!process.stdin.isTTY)
    throw new OperatorError(
      'service-ask',
      'Cannot ask for confirmation: standard input is not a terminal.',
      'Use --yes to skip the question, or --dry-run to see the steps.'
    )
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return /^y(es)?$/i.test((await terminal.question('Continue? [y/N] ')).trim())
  } finally {
    terminal.close()
  }
}

/** Returns the name of the program that uses the default port; `SERVICE` if it is the service itself. */
async function holderOfPort({ root }: ServiceFlags): Promise<string | undefined> {
  if (isStaged({ root })) return undefined
  const holder = await portHolder(PORT, '/proc')
  if (holder === undefined) return undefined
  return holder.command.includes('/artemis.yaml') ? SERVICE : holder.name
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
