// The command line options of all commands that read the settings.

import type { Command } from 'commander'

/** Adds the options of `Flags` in settings.ts to a command. */
export function addSettingsOptions(command: Command): Command {
  return command
    .option('--config <file>', 'settings file (default: ./artemis.yaml if it exists)')
    .option('--mosquitto <file>', 'mosquitto.conf to read as it is')
    .option('--host <address>', 'address to listen on (default: 127.0.0.1)')
    .option('--port <number>', 'port to listen on (default: 1883)')
    .option('--data <folder>', 'data folder (default: ./artemis-data)')
}
