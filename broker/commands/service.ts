// artemis service install and uninstall: the broker as a systemd service, in one command that says what it does first.

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
    .description('run the broker with the machine: a systemd service with a user of its own')
    .option('--tap', 'let it capture on this machine (CAP_NET_RAW for tcpdump, and for nothing else)')
    .action(async (flags: ServiceFlags) => {
      const program = {
        node: realpathSync(process.execPath),
        main: realpathSync(fileURLToPath(new URL('../main.js', import.meta.url)))
      }
      await carryOut(installPlan({ root: flags.root }, program, flags.tap === true, await holderOfPort(flags)), flags)
    })
  const uninstall = withFlags(new Command('uninstall'))
    .description('take the service away; settings and data stay')
    .option('--purge', 'remove settings, data and the user as well')
    .action(async (flags: ServiceFlags) => {
      await carryOut(uninstallPlan({ root: flags.root }, flags.purge === true), flags)
    })
  return new Command('service')
    .description('install the broker as a systemd service, or take it away')
    .addCommand(install)
    .addCommand(uninstall)
}

function withFlags(command: Command): Command {
  return command
    .option('--dry-run', 'say what would be done, and do nothing')
    .option('--yes', 'do not ask')
    .option('--root <folder>', 'write below this folder and run no command: for packages and for trying it out', '/')
}

/** Says every step, asks, and does them. */
async function carryOut({ steps, advice }: Plan, flags: ServiceFlags): Promise<void> {
  const machine: TargetSystem = { root: flags.root }
  if (steps.length === 0) say('There is nothing to do.')
  else {
    say('This will:')
    for (const step of steps) say(`  ${describe(step, machine)}`)
    if (flags.dryRun === true) return
    checkRights(machine)
    if (flags.yes !== true && !(await isAgreed())) {
      say('Nothing was done.')
      return
    }
    for (const step of steps) {
      say(`- ${describe(step, machine)}`)
      perform(step, machine)
    }
  }
  if (isStaged(machine)) say(`Nothing outside ${flags.root} was touched, and nothing was started.`)
  else for (const line of advice) say(line)
}

function checkRights(machine: TargetSystem): void {
  if (isStaged(machine)) return
  if (process.platform !== 'linux')
    throw new OperatorError(
      'service-system',
      'Services are made for Linux with systemd.',
      'Run "artemis broker" by whatever starts programs on this machine.'
    )
  if (process.getuid?.() !== 0)
    throw new OperatorError(
      'service-root',
      'Only root may install a service.',
      'Run it again with sudo; --dry-run shows what it would do.'
    )
}

async function isAgreed(): Promise<boolean> {
  if (!process.stdin.isTTY)
    throw new OperatorError(
      'service-ask',
      'There is nobody to ask.',
      'Give --yes to agree beforehand, or --dry-run to look only.'
    )
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return /^y(es)?$/i.test((await terminal.question('Go on? [y/N] ')).trim())
  } finally {
    terminal.close()
  }
}

/** The name of the program on the broker's usual port; ours goes by the name of the service. */
async function holderOfPort({ root }: ServiceFlags): Promise<string | undefined> {
  if (isStaged({ root })) return undefined
  const holder = await portHolder(PORT, '/proc')
  if (holder === undefined) return undefined
  return holder.command.includes('/artemis.yaml') ? SERVICE : holder.name
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
