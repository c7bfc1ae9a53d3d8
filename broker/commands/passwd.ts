// artemis passwd: puts a user into a password file, or takes one out.

import { chown, open, readFile, realpath, rename, rm, stat } from 'node:fs/promises'
import { Command } from 'commander'
import { OperatorError } from '../../src/errors.js'
import { userFault, withoutUser, withUser } from '../auth/password-file.js'
import { hashPassword } from '../auth/password-hash.js'
import { MAX_PATH_LENGTH, printable } from '../terminal/printable.js'
import { askNewPassword } from '../terminal/secret-input.js'

interface PasswdFlags {
  create?: boolean
  delete?: boolean
}

/** Passwords are for the owner of the file alone, even hashed. */
const OWNER_ONLY = 0o600
const FOR_OTHERS = 0o007

/** The `passwd` command. */
export function passwdCommand(): Command {
  return new Command('passwd')
    .description(
      'put a user into a password file (that of mosquitto), or take one out; the password is asked for, or read from a pipe'
    )
    .argument('<file>', 'made if it is not there')
    .argument('<user>')
    .option('-c, --create', 'begin a new file, also where there is one')
    .option('-D, --delete', 'take the user out')
    .action(passwd)
}

async function passwd(file: string, user: string, flags: PasswdFlags): Promise<void> {
  const fault = userFault(user)
  if (fault !== undefined) throw new OperatorError('passwd-user', fault, 'Choose another name.')
  if (flags.create === true && flags.delete === true) {
    throw new OperatorError('passwd-flags', '--create and --delete exclude each other.', 'Take one of them.')
  }
  const known = await read(file)
  if (flags.delete === true) {
    const text = known === undefined ? undefined : withoutUser(known, user)
    if (text === undefined) {
      throw new OperatorError(
        'passwd-user',
        `${shown(file)} has no user ${JSON.stringify(printable(user))}.`,
        'Nothing was changed.'
      )
    }
    await replace(file, text)
  } else {
    const hash = await hashPassword(Buffer.from(await askNewPassword()))
    await replace(file, withUser(flags.create === true ? '' : (known ?? ''), user, hash))
  }
  const { mode } = await stat(file)
  if ((mode & FOR_OTHERS) !== 0)
    process.stderr.write(
      `${shown(file)}: everybody on this machine may read it; chmod o= ${shown(file)} changes that.\n`
    )
  process.stderr.write(`${shown(file)} is written. A running broker takes it at SIGHUP (systemctl reload artemis).\n`)
}

async function read(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw refusal(file, cause)
  }
}

/** Whole or not at all; a file that was there keeps its owner and its permissions. */
async function replace(file: string, text: string): Promise<void> {
  const target = await realpath(file).catch(() => file)
  const known = await stat(target).catch(() => undefined)
  const part = `${target}.part-${process.pid}`
  try {
    const handle = await open(part, 'wx', OWNER_ONLY)
    try {
      await handle.writeFile(text)
      if (known !== undefined) {
        if (known.uid !== process.getuid?.() || known.gid !== process.getgid?.())
          await chown(part, known.uid, known.gid)
        await handle.chmod(known.mode & 0o777)
      }
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(part, target)
  } catch (cause) {
    await rm(part, { force: true })
    throw refusal(file, cause)
  }
}

function refusal(file: string, cause: unknown): OperatorError {
  const { code } = cause as NodeJS.ErrnoException
  return new OperatorError(
    'passwd-file',
    `${shown(file)} cannot be written or read (${code}).`,
    'Check its name and permissions; sudo helps where it belongs to another user.',
    { cause }
  )
}

function shown(file: string): string {
  return printable(file, MAX_PATH_LENGTH)
}
