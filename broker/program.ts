// The command line: the commands, and the exit codes.

import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { OperatorError } from '../src/errors.js'
import { nearest } from './config/suggestion.js'
import { printable } from './terminal/printable.js'

/** Exit codes: success, operator error, internal error. */
export const EXIT = { success: 0, operatorError: 1, internalError: 2 } as const

/**
 * All commands by name. Each is loaded only when it is needed, so that the broker does not load the code for training
 * and evaluation.
 */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  broker: async () => (await import('./commands/broker.js')).brokerCommand(),
  watch: async () => (await import('./commands/watch.js')).watchCommand(),
  check: async () => (await import('./commands/check.js')).checkCommand(),
  doctor: async () => (await import('./commands/doctor.js')).doctorCommand(),
  capture: async () => (await import('./commands/capture.js')).captureCommand(),
  extract: async () => (await import('./commands/extract.js')).extractCommand(),
  train: async () => (await import('./commands/train.js')).trainCommand(),
  evaluate: async () => (await import('./commands/evaluate.js')).evaluateCommand(),
  replay: async () => (await import('./commands/replay.js')).replayCommand(),
  models: async () => (await import('./commands/models.js')).modelsCommand(),
  clients: async () => (await import('./commands/control.js')).clientsCommand(),
  alerts: async () => (await import('./commands/control.js')).alertsCommand(),
  ban: async () => (await import('./commands/control.js')).banCommand(),
  unban: async () => (await import('./commands/control.js')).unbanCommand(),
  allow: async () => (await import('./commands/control.js')).allowCommand(),
  learn: async () => (await import('./commands/control.js')).learnCommand(),
  service: async () => (await import('./commands/service.js')).serviceCommand(),
  passwd: async () => (await import('./commands/passwd.js')).passwdCommand(),
  import: async () => (await import('./commands/import.js')).importCommand()
}

const DEFAULT_COMMAND = 'broker'
/** Maximum length of a command line error, which includes the value given and the value expected. */
const MAX_MESSAGE_LENGTH = 400

/** Runs the command line `argv` (as `process.argv`) and returns its exit code. */
export async function runProgram(argv: readonly string[]): Promise<number> {
  try {
    await (await makeProgram(argv.slice(2))).parseAsync(argv)
    return EXIT.success
  } catch (error) {
    if (error instanceof CommanderError) return reportCommandLineError(error, argv.slice(2))
    return report(error)
  }
}

/** Prints an error to standard error, internal errors with their stack. Returns the exit code. */
export function report(error: unknown): number {
  const systemMessage = systemError(error)
  if (systemMessage !== undefined) {
    printError(systemMessage)
    return EXIT.operatorError
  }
  if (!(error instanceof OperatorError)) {
    printError(
      `internal error, please report it.\n${error instanceof Error ? (error.stack ?? error.message) : String(error)}`
    )
    return EXIT.internalError
  }
  printError(error.message + (error.remedy === undefined ? '' : `\n  ${error.remedy}`))
  return EXIT.operatorError
}

const SYSTEM_ERRORS: Readonly<Record<string, string | undefined>> = {
  ENOSPC: 'Free disk space, or write to another disk.',
  EDQUOT: 'Free space in your quota, or write to another file system.',
  EROFS: 'The file system is read-only: write to another one.',
  EIO: 'The disk or the terminal failed: check the system log.'
}

/** Returns the message of a disk or terminal error, with its remedy; undefined for any other error. */
function systemError(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  const remedy = SYSTEM_ERRORS[String(error.code)]
  return remedy === undefined ? undefined : `${printable(error.message)}\n  ${remedy}`
}

async function makeProgram(args: readonly string[]): Promise<Command> {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  const program = new Command('artemis')
    .description('MQTT broker with intrusion detection.')
    .version(version)
    .exitOverride()
    // runProgram prints errors in its own format.
    .configureOutput({ outputError: () => {} })
  for (const name of commandsFor(args)) {
    const command = await COMMANDS[name]()
    program.addCommand(command.copyInheritedSettings(program), { isDefault: name === DEFAULT_COMMAND })
  }
  return program
}

/** Returns the commands to load: the one named, the default if none is, or all for the help text. */
function commandsFor([first = '', ...rest]: readonly string[]): string[] {
  if (Object.hasOwn(COMMANDS, first)) return [first]
  const isDefault =
    first === '' || (first.startsWith('-') && ![first, ...rest].some(arg => arg === '--help' || arg === '-h'))
  return isDefault ? [DEFAULT_COMMAND] : Object.keys(COMMANDS)
}

/** Prints a command line error. Help and version are no errors. Returns the exit code. */
function reportCommandLineError(error: CommanderError, args: readonly string[]): number {
  if (error.exitCode === 0) return EXIT.success
  const names = Object.keys(COMMANDS)
  const first = args.at(0)
  // A command with subcommands was given alone: its help is already printed.
  if (error.code === 'commander.help') return EXIT.operatorError
  if (error.code === 'commander.excessArguments' && first !== undefined && !names.includes(first)) {
    const unknown = args.find(arg => !arg.startsWith('-')) ?? first
    const meant = nearest(unknown, names)
    printError(
      `Unknown command "${printable(unknown)}".\n  ${meant === undefined ? '' : `Did you mean ${meant}? `}Run artemis --help for a list of commands.`
    )
  } else {
    const [message, suggestion] = error.message.replace(/^error: /, '').split('\n') as [string, string?]
    const sentence = message.charAt(0).toUpperCase() + message.slice(1)
    const hint = suggestion === undefined ? '' : `${suggestion.replace(/^\((.*)\)$/, '$1')} `
    printError(
      `${printable(sentence.replace(/\.$/, ''), MAX_MESSAGE_LENGTH)}.\n  ${hint}Run the command with --help for its options.`
    )
  }
  return EXIT.operatorError
}

function printError(text: string): void {
  process.stderr.write(`artemis: ${text}\n`)
}
