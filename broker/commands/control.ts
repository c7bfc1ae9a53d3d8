// artemis clients, alerts, ban, unban, allow and learn: control of a running broker.

import { Command, InvalidArgumentError, Option } from 'commander'
import { OperatorError } from '../../src/errors.js'
import { shownJson } from '../../src/report/json-line.js'
import { parseDuration } from '../config/units.js'
import { askBroker, type ControlFlags } from '../control/control-client.js'
import { alertsTable, allowTable, bansTable, clientsTable, learnText } from '../control/control-tables.js'

type Format = 'table' | 'json'

interface BanFlags extends ControlFlags {
  client?: string
  for?: number
}
interface AllowFlags extends ControlFlags {
  client?: string
  remove?: boolean
}

const ACCESS_HELP = `
The broker is asked over MQTT. Without access rules, clients on its own machine and users with a password
may ask; with them, whoever may write to $CONTROL/artemis/v1. A password in --url shows in the list of
processes: ARTEMIS_URL in the environment does not.`

/** The `clients` command. */
export function clientsCommand(): Command {
  return controlCommand(
    'clients',
    'who is connected to the running broker, and how their scores stand',
    'client'
  ).action(async (flags: ControlFlags) => {
    await show(flags, { command: 'clients' }, data =>
      clientsTable(data as Parameters<typeof clientsTable>[0], Date.now())
    )
  })
}

/** The `alerts` command. */
export function alertsCommand(): Command {
  return controlCommand('alerts', 'the latest alerts of the running broker', 'alert').action(
    async (flags: ControlFlags) => {
      await show(flags, { command: 'alerts' }, data => alertsTable(data as Parameters<typeof alertsTable>[0]))
    }
  )
}

/** The `ban` command. */
export function banCommand(): Command {
  return controlCommand('ban', 'throw somebody out and keep them out for a while; without arguments, who is banned')
    .argument('[address]', 'everybody at this address')
    .option('--client <id>', 'this client id, at the address or wherever it comes from')
    .option(
      '--for <duration>',
      'for so long, such as 10m or 2d, up to 30d (default: response.banDuration)',
      durationArgument
    )
    .action(async (address: string | undefined, flags: BanFlags) => {
      const isQuestion = address === undefined && flags.client === undefined
      if (isQuestion) {
        if (flags.for !== undefined) throw nobodyNamed()
        await show(flags, { command: 'bans' }, data => bansTable(data as Parameters<typeof bansTable>[0], Date.now()))
        return
      }
      const command = {
        command: 'ban',
        ...who(address, flags.client),
        ...(flags.for !== undefined && { seconds: flags.for / 1_000 })
      }
      await show(flags, command, data => {
        const { ban, thrownOut } = data as { ban: Parameters<typeof bansTable>[0]['bans'][number]; thrownOut: number }
        return (
          bansTable({ bans: [ban] }, Date.now()) +
          `${thrownOut} ${thrownOut === 1 ? 'connection was' : 'connections were'} closed.\n`
        )
      })
    })
}

/** The `unban` command. */
export function unbanCommand(): Command {
  return controlCommand('unban', 'take bans back')
    .argument('[address]', 'all bans at this address')
    .option('--client <id>', 'all bans of this client id')
    .action(async (address: string | undefined, flags: BanFlags) => {
      if (address === undefined && flags.client === undefined) throw nobodyNamed()
      await show(flags, { command: 'unban', ...who(address, flags.client) }, data => {
        const { lifted } = data as { lifted: object[] }
        return lifted.length === 0
          ? 'There was no such ban.\n'
          : `${lifted.length} ${lifted.length === 1 ? 'ban was' : 'bans were'} taken back.\n`
      })
    })
}

/** The `allow` command. */
export function allowCommand(): Command {
  return controlCommand('allow', 'never throw somebody out or ban them; without arguments, the allow-list')
    .argument('[address]', 'address or network, such as 192.0.2.7 or 192.0.2.0/24')
    .option('--client <id>', 'a client id wherever it comes from; anybody may claim one')
    .option('--remove', 'take it off the list')
    .action(async (address: string | undefined, flags: AllowFlags) => {
      if (address !== undefined && flags.client !== undefined) {
        throw new OperatorError(
          'control-request',
          'An entry of the allow-list is an address or a client id, not both.',
          'Add them one by one.'
        )
      }
      const entry = flags.client === undefined ? address : `client:${flags.client}`
      if (entry === undefined && flags.remove === true) throw nobodyNamed()
      const command =
        entry === undefined ? { command: 'allowed' } : { command: flags.remove === true ? 'disallow' : 'allow', entry }
      await show(flags, command, data => allowTable(data as Parameters<typeof allowTable>[0]))
    })
}

/** The `learn` command. */
export function learnCommand(): Command {
  return controlCommand('learn', 'how far the learning is')
    .option('--anew', 'learn what is normal anew; the present model guards until the new one takes its place')
    .action(async (flags: ControlFlags & { anew?: boolean }) => {
      await show(flags, { command: 'learn', anew: flags.anew === true }, data =>
        learnText(data as Parameters<typeof learnText>[0])
      )
    })
}

function controlCommand(name: string, description: string, rows?: string): Command {
  const command = new Command(name)
    .description(description)
    .option(
      '--url <url>',
      'the broker: mqtt://[user:password@]host[:port] or mqtts://... (default: ARTEMIS_URL, or as the settings say)'
    )
    .option('--cafile <file>', "certificates to check the broker's against")
    .option('--config <file>', 'settings of the broker (default: artemis.yaml here, where there is one)')
    .option('--port <number>', 'its port on this machine')
    .addOption(
      new Option('--format <format>', 'table, or json for other programs').choices(['table', 'json']).default('table')
    )
  return command.addHelpText('after', (rows === undefined ? '' : `\nOne row for each ${rows}.`) + ACCESS_HELP)
}

async function show(
  flags: ControlFlags & { format?: Format },
  command: object,
  table: (data: unknown) => string
): Promise<void> {
  const data = await askBroker(flags, command)
  process.stdout.write(flags.format === 'json' ? `${shownJson(JSON.stringify(data))}\n` : table(data))
}

function who(address: string | undefined, clientId: string | undefined): object {
  return { ...(address !== undefined && { address }), ...(clientId !== undefined && { clientId }) }
}

function durationArgument(text: string): number {
  const milliseconds = parseDuration(text)
  if (Number.isNaN(milliseconds)) throw new InvalidArgumentError('Write a duration with its unit: 30s, 10m, 2h or 1d.')
  return milliseconds
}

function nobodyNamed(): OperatorError {
  return new OperatorError('control-request', 'Nobody is named.', 'Name an address, or a client id with --client.')
}
