#!/usr/bin/env node
// The program `artemis`: runs the command line and ends with its exit code.

import './process/memory.js'
import { report, runProgram } from './program.js'
import { exitOnSignal } from './process/stop-signal.js'

exitOnSignal()

// Whoever reads our output may leave before its end (`artemis check | head`); that is no fault.
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
