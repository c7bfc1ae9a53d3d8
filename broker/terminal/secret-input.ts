// Reads a password from the terminal without echo, or from a pipe.

import { text } from 'node:stream/consumers'
import type { ReadStream } from 'node:tty'
import { OperatorError } from '../../src/errors.js'

/** Special keys while a password is typed. In raw mode, Ctrl-C is a key and not a signal. */
const KEYS = { enter: ['\r', '\n'], erase: ['\u007f', '\b'], interrupt: '\u0003', end: '\u0004' }
/** Maximum length of a password in a CONNECT [MQTT-3.1.3.6]. */
const MAX_PASSWORD_BYTES = 65_535

/**
 * Prompts for a password, twice on a terminal; from a pipe, reads the first line.
 *
 * @throws OperatorError `password` if it is empty, too long or missing, or if the two entries differ
 */
export async function askNewPassword(): Promise<string> {
  const { stdin } = process
  const password = stdin.isTTY ? await askTwice(stdin) : firstLine(await text(stdin))
  if (password === '')
    throw new OperatorError(
      'password',
      'The password is empty.',
      'Type a password, or use a pipe: printf %s SECRET | artemis passwd FILE USER.'
    )
  const bytes = Buffer.byteLength(password)
  if (bytes > MAX_PASSWORD_BYTES)
    throw new OperatorError(
      'password',
      `The password has ${bytes} bytes. The maximum in MQTT is ${MAX_PASSWORD_BYTES}.`,
      'Use a shorter password. Nothing was changed.'
    )
  return password
}

/**
 * Prompts for a password once. Unlike in {@link askNewPassword}, it may be empty.
 *
 * @throws OperatorError `password` if none is given
 */
export async function askPassword(question: string): Promise<string> {
  const { stdin } = process
  return stdin.isTTY ? await ask(stdin, question) : firstLine(await text(stdin))
}

async function askTwice(terminal: ReadStream): Promise<string> {
  const first = await ask(terminal, 'Password: ')
  if (first !== (await ask(terminal, 'Repeat password: ')))
    throw new OperatorError('password', 'The passwords differ.', 'Try again. Nothing was changed.')
  return first
}

/** Reads keys one by one until the line is complete. */
function ask(terminal: ReadStream, question: string): Promise<string> {
  // First, so that typed keys are not echoed.
  terminal.setRawMode(true)
  process.stderr.write(question)
  terminal.setEncoding('utf8')
  terminal.resume()
  return new Promise((resolve, reject) => {
    const typed: string[] = []
    const finish = (): void => {
      terminal.off('data', onData)
      terminal.setRawMode(false)
      terminal.pause()
      process.stderr.write('\n')
    }
    const onData = (keys: string): void => {
      for (const key of keys) {
        if (KEYS.enter.includes(key)) {
          finish()
          resolve(typed.join(''))
          return
        }
        if (key === KEYS.interrupt) {
          finish()
          process.stderr.write('Nothing was changed.\n')
          // The exit code of any signal.
          process.exit(0)
        }
        if (key === KEYS.end) {
          finish()
          reject(new OperatorError('password', 'No password was given.', 'Nothing was changed.'))
          return
        }
        if (KEYS.erase.includes(key)) typed.pop()
        else typed.push(key)
      }
    }
    terminal.on('data', onData)
  })
}

function firstLine(input: string): string {
  return /^[^\r\n]*/.exec(input)?.[0] ?? ''
}
