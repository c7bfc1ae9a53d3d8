// artemis clients, alerts, ban, unban, allow and learn: control of a running broker.

import { Command, InvalidArgumentError, Option } from 'commander'
import { OperatorError } from '../../src/errors.js'
import { printableJson } from '../../src/report/json-line.js'
import { parseDuration } from '../config/units.js'
import { sendCommand, type ControlFlags } from '../control/control-client.js'
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
Commands are sent over MQTT. Without access rules, clients on the broker's machine and users with a password
may send them; with access rules, clients that may write to $CONTROL/artemis/v1. A password in --url is
visible in the process list; use the ARTEMIS_URL environment variable instead.`

/** The `clients` command. */
export function clientsCommand(): Command {
  return controlCommand('clients', 'list the connected clients and their scores', 'client').action(
    async (flags: ControlFlags) => {
      await show(flags, { command: 'clients' }, data =>
        clientsTable(data as Parameters<typeof clientsTable>[0], Date.now())
      )
    }
  )
}

/** The `alerts` command. */
export function alertsCommand(): Command {
  return controlCommand('alerts', 'list the latest alerts', 'alert').action(async (flags: ControlFlags) => {
    await show(flags, { command: 'alerts' }, data => alertsTable(data as Parameters<typeof alertsTable>[0]))
  })
}

/** The `ban` command. */
export function banCommand(): Command {
  return controlCommand('ban', 'disconnect and ban a client or address; without arguments, list the bans')
    .argument('[address]', 'ban all clients at this address')
    .option('--client <id>', 'ban this client id, at the address if given, else at any address')
    .option(
      '--for <duration>',
      'ban duration, such as 10m or 2d, up to 30d (default: response.banDuration)',
      durationArgument
    )
    .action(async (address: string | undefined, flags: BanFlags) => {
      const isList = address === undefined && flags.client === undefined
      if (isList) {
        if (flags.for !== undefined) throw missingTarget()
        await show(flags, { command: 'bans' }, data => bansTable(data as Parameters<typeof bansTable>[0], Date.now()))
        return
      }
      const command = {
        command: 'ban',
        ...targetOf(address, flags.client),
        ...(flags.for !== undefined && { seconds: flags.for / 1_000 })
      }
      await show(flags, command, data => {
        const { ban, thrownOut } = data as { ban: Parameters<typeof bansTable>[0]['bans'][number]; thrownOut: number }
        return (
          bansTable({ bans: [ban] }, Date.now()) +
          `${thrownOut} ${thrownOut === 1 ? 'connection' : 'connections'} closed.\n`
        )
      })
    })
}

/** The `unban` command. */
export function unbanCommand(): Command {
  return controlCommand('unban', 'remove bans')
    .argument('[address]', 'remove all bans of this address')
    .option('--client <id>', 'remove all bans of this client id')
    .action(async (address: string | undefined, flags: BanFlags) => {
      if (address === undefined && flags.client === undefined) throw missingTarget()
      await show(flags, { command: 'unban', ...targetOf(address, flags.client) }, data => {
        const { lifted } = data as { lifted: object[] }
        return lifted.length === 0
          ? 'No matching ban.\n'
          : `${lifted.length} ${lifted.length === 1 ? 'ban' : 'bans'} removed.\n`
      })
    })
}

/** The `allow` command. */
export function allowCommand(): Command {
  return controlCommand(
    'allow',
    'exempt a client or address from disconnects and bans; without arguments, list the allow-list'
  )
    .argument('[address]', 'address or network, such as 192.0.2.7 or 192.0.2.0/24')
    .option('--client <id>', 'client id at any address; clients choose their ids freely')
    .option('--remove', 'remove the entry')
    .action(async (address: string | undefined, flags: AllowFlags) => {
      if (address !== undefined && flags.client !== undefined) {
        throw new OperatorError(
          'control-request',
          'An entry of the allow-list is an address or a client id, not both.',
          'Add them separately.'
        )
      }
      const entry = flags.client === undefined ? address : `client:${flags.client}`
      if (entry === undefined && flags.remove === true) throw missingTarget()
      const command =
        entry === undefined ? { command: 'allowed' } : { command: flags.remove === true ? 'disallow' : 'allow', entry }
      await show(flags, command, data => allowTable(data as Parameters<typeof allowTable>[0]))
    })
}

/** The `learn` command. */
export function learnCommand(): Command {
  return controlCommand('learn', 'show the learning progress')
    .option('--anew', 'learn again; the current model guards until the new one replaces it')
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
      'broker URL: mqtt://[user:password@]host[:port] or mqtts://... (default: ARTEMIS_URL, or from the settings)'
    )
    .option('--cafile <file>', "CA certificates to verify the broker's certificate")
    .option('--config <file>', 'settings file of the broker (default: ./artemis.yaml if it exists)')
    .option('--port <number>', 'port of the broker on this machine')
    .addOption(new Option('--format <format>', 'output format').choices(['table', 'json']).default('table'))
  return command.addHelpText('after', (rows === undefined ? '' : `\nOne row for each ${rows}.`) + ACCESS_HELP)
}

async function show(
  flags: ControlFlags & { format?: Format },
  command: object,
  table: (data: unknown) => string
): Promise<void> {
  const data = await sendCommand(flags, command)
  process.stdout.write(flags.format === 'json' ? `${printableJson(JSON.stringify(data))}\n` : table(data))
}

function targetOf(address: string | undefined, clientId: string | undefined): object {
  return { ...(address !== undefined && { address }), ...(clientId !== undefined && { clientId }) }
}

function durationArgument(text: string): number {
  const milliseconds = parseDuration(text)
  if (Number.isNaN(milliseconds)) throw new InvalidArgumentError('Give a duration with its unit: 30s, 10m, 2h or 1d.')
  return milliseconds
}

function missingTarget(): OperatorError {
  return new OperatorError('control-request', 'No target given.', 'Give an address, or a client id with --client.')
}
