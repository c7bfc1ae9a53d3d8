// The flags that say which settings are in force, for every command that needs them.

import type { Command } from 'commander'

/** Adds the flags of `Flags` in settings.ts to a command. */
export function addSettingsOptions(command: Command): Command {
  return command
    .option('--config <file>', 'settings file (default: artemis.yaml here, where there is one)')
    .option('--mosquitto <file>', 'a mosquitto.conf, taken as it is')
    .option('--host <address>', 'address to listen on (default: 127.0.0.1)')
    .option('--port <number>', 'port to listen on (default: 1883)')
    .option('--data <folder>', 'folder for everything that is kept (default: artemis-data here)')
}
