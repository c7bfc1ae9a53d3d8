// The command line as a whole: which commands there are, and how each ending becomes an exit code.

import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { OperatorError } from '../src/errors.js'
import { nearest } from './config/suggestion.js'
import { printable } from './terminal/printable.js'

/** Exit codes: fine, the operator's mistake, a fault of ours. */
export const EXIT = { fine: 0, mistake: 1, fault: 2 } as const

/**
 * Every command by its name; a new one is a file in commands/ and a line here. Each is loaded only when it is
 * asked for: the broker should not carry what trains and evaluates.
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
/** A mistake on the command line, with the value that was given and what would be right. */
const MAX_SENTENCE_LENGTH = 400

/** Runs the command line `argv` (as `process.argv`) and returns its exit code. */
export async function runProgram(argv: readonly string[]): Promise<number> {
  try {
    await (await makeProgram(argv.slice(2))).parseAsync(argv)
    return EXIT.fine
  } catch (error) {
    if (error instanceof CommanderError) return commandLineEnding(error, argv.slice(2))
    return report(error)
  }
}

/** Says on standard error what went wrong: the operator's mistakes in plain words, ours with their stack. */
export function report(error: unknown): number {
  const refusal = systemRefusal(error)
  if (refusal !== undefined) {
    complain(refusal)
    return EXIT.mistake
  }
  if (!(error instanceof OperatorError)) {
    complain(
      `this is a fault of Artemis, not yours.\n${error instanceof Error ? (error.stack ?? error.message) : String(error)}`
    )
    return EXIT.fault
  }
  complain(error.message + (error.remedy === undefined ? '' : `\n  ${error.remedy}`))
  return EXIT.mistake
}

const SYSTEM_REFUSALS: Readonly<Record<string, string | undefined>> = {
  ENOSPC: 'Make room on the disk, or write elsewhere.',
  EDQUOT: 'Make room in your quota, or write elsewhere.',
  EROFS: 'The file system is read-only: write elsewhere.',
  EIO: 'The disk or the terminal fails: look into the system log.'
}

/** What the system refused, and is no fault of the program. */
function systemRefusal(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  const remedy = SYSTEM_REFUSALS[String(error.code)]
  return remedy === undefined ? undefined : `${printable(error.message)}\n  ${remedy}`
}

async function makeProgram(args: readonly string[]): Promise<Command> {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  const program = new Command('artemis')
    .description('An MQTT broker that notices when it is being attacked.')
    .version(version)
    .exitOverride()
    // Said in runProgram, in the form of every other mistake.
    .configureOutput({ outputError: () => {} })
  for (const name of neededFor(args)) {
    const command = await COMMANDS[name]()
    program.addCommand(command.copyInheritedSettings(program), { isDefault: name === DEFAULT_COMMAND })
  }
  return program
}

/** The command that is named, the default one where none is, all where they are to be listed. */
function neededFor([first = '', ...rest]: readonly string[]): string[] {
  if (Object.hasOwn(COMMANDS, first)) return [first]
  const isDefault =
    first === '' || (first.startsWith('-') && ![first, ...rest].some(arg => arg === '--help' || arg === '-h'))
  return isDefault ? [DEFAULT_COMMAND] : Object.keys(COMMANDS)
}

/** Help and version end fine; what is left is a mistake on the command line. */
function commandLineEnding(error: CommanderError, args: readonly string[]): number {
  if (error.exitCode === 0) return EXIT.fine
  const names = Object.keys(COMMANDS)
  const first = args.at(0)
  // A command of commands by itself: its help has been printed.
  if (error.code === 'commander.help') return EXIT.mistake
  if (error.code === 'commander.excessArguments' && first !== undefined && !names.includes(first)) {
    const unknown = args.find(arg => !arg.startsWith('-')) ?? first
    const meant = nearest(unknown, names)
    complain(
      `Unknown command "${printable(unknown)}".\n  ${meant === undefined ? '' : `Did you mean ${meant}? `}artemis --help lists the commands.`
    )
  } else {
    const [message, suggestion] = error.message.replace(/^error: /, '').split('\n') as [string, string?]
    const sentence = message.charAt(0).toUpperCase() + message.slice(1)
    const hint = suggestion === undefined ? '' : `${suggestion.replace(/^\((.*)\)$/, '$1')} `
    complain(
      `${printable(sentence.replace(/\.$/, ''), MAX_SENTENCE_LENGTH)}.\n  ${hint}--help on each command lists its options.`
    )
  }
  return EXIT.mistake
}

function complain(text: string): void {
  process.stderr.write(`artemis: ${text}\n`)
}
