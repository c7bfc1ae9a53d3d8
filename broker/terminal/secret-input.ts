// A password from whoever runs a command: typed without being shown, or piped in.

import { text } from 'node:stream/consumers'
import type { ReadStream } from 'node:tty'
import { OperatorError } from '../../src/errors.js'

/** Keys that mean something while a password is typed; in place of a signal, Ctrl-C is one. */
const KEYS = { enter: ['\r', '\n'], erase: ['\u007f', '\b'], interrupt: '\u0003', end: '\u0004' }
/** A CONNECT has room for no more [MQTT-3.1.3.6]. */
const MAX_PASSWORD_BYTES = 65_535

/**
 * Asks for a password, twice on a terminal, and from a pipe the first line.
 *
 * @throws OperatorError `password` where it is empty or too long, differs the second time, or is not given
 */
export async function askNewPassword(): Promise<string> {
  const { stdin } = process
  const password = stdin.isTTY ? await askTwice(stdin) : firstLine(await text(stdin))
  if (password === '')
    throw new OperatorError(
      'password',
      'The password is empty.',
      'Type one, or pipe it in: printf %s SECRET | artemis passwd FILE USER.'
    )
  const bytes = Buffer.byteLength(password)
  if (bytes > MAX_PASSWORD_BYTES)
    throw new OperatorError(
      'password',
      `The password has ${bytes} bytes, and MQTT has room for ${MAX_PASSWORD_BYTES}.`,
      'Take a shorter one; nothing was changed.'
    )
  return password
}

/**
 * Asks for a password once; as {@link askNewPassword}, but it may be empty.
 *
 * @throws OperatorError `password` where it is not given
 */
export async function askPassword(question: string): Promise<string> {
  const { stdin } = process
  return stdin.isTTY ? await ask(stdin, question) : firstLine(await text(stdin))
}

async function askTwice(terminal: ReadStream): Promise<string> {
  const first = await ask(terminal, 'Password: ')
  if (first !== (await ask(terminal, 'Once more: ')))
    throw new OperatorError('password', 'The two differ.', 'Try again; nothing was changed.')
  return first
}

/** Reads keys one by one until the line is complete. */
function ask(terminal: ReadStream, question: string): Promise<string> {
  // First, so that nothing that is typed in answer is shown.
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
          // As at any signal.
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
