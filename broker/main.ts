#!/usr/bin/env node
// The program `artemis`: runs the command line and exits with its exit code.

import './process/memory.js'
import { report, runProgram } from './program.js'
import { exitOnSignal } from './process/stop-signal.js'

exitOnSignal()

// A reader may close the pipe early (`artemis check | head`).
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
}

for (const event of ['uncaughtException', 'unhandledRejection']) {
  process.on(event, (error: unknown) => {
    process.exit(report(error))
  })
}

process.exitCode = await runProgram(process.argv)
