// artemis passwd: adds a user to a password file, or deletes one.

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

/** Only the owner may read the password hashes. */
const OWNER_ONLY = 0o600
const OTHERS_MASK = 0o007

/** The `passwd` command. */
export function passwdCommand(): Command {
  return new Command('passwd')
    .description(
      'add, change or delete a user in a mosquitto password file; the password is prompted for, or read from a pipe'
    )
    .argument('<file>', 'password file, created if missing')
    .argument('<user>')
    .option('-c, --create', 'create a new file, replacing an existing one')
    .option('-D, --delete', 'delete the user')
    .action(passwd)
}

async function passwd(file: string, user: string, flags: PasswdFlags): Promise<void> {
  const userError = userFault(user)
  if (userError !== undefined) throw new OperatorError('passwd-user', userError, 'Choose another name.')
  if (flags.create === true && flags.delete === true) {
    throw new OperatorError('passwd-flags', '--create and --delete cannot be combined.', 'Use one of them.')
  }
  const existing = await read(file)
  if (flags.delete === true) {
    const text = existing === undefined ? undefined : withoutUser(existing, user)
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
    await replace(file, withUser(flags.create === true ? '' : (existing ?? ''), user, hash))
  }
  const { mode } = await stat(file)
  if ((mode & OTHERS_MASK) !== 0)
    process.stderr.write(`${shown(file)} is readable by all users. Restrict it with: chmod o= ${shown(file)}\n`)
  process.stderr.write(
    `Wrote ${shown(file)}. Send SIGHUP to a running broker to reload it (systemctl reload artemis).\n`
  )
}

async function read(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw fileError(file, cause)
  }
}

/** Replaces the file atomically. An existing file keeps its owner and permissions. */
async function replace(file: string, text: string): Promise<void> {
  const target = await realpath(file).catch(() => file)
  const existing = await stat(target).catch(() => undefined)
  const temporary = `${target}.part-${process.pid}`
  try {
    const handle = await open(temporary, 'wx', OWNER_ONLY)
    try {
      await handle.writeFile(text)
      if (existing !== undefined) {
        if (existing.uid !== process.getuid?.() || existing.gid !== process.getgid?.())
          await chown(temporary, existing.uid, existing.gid)
        await handle.chmod(existing.mode & 0o777)
      }
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, target)
  } catch (cause) {
    await rm(temporary, { force: true })
    throw fileError(file, cause)
  }
}

function fileError(file: string, cause: unknown): OperatorError {
  const { code } = cause as NodeJS.ErrnoException
  return new OperatorError(
    'passwd-file',
    `Cannot read or write ${shown(file)}: ${code}.`,
    'Check its name and permissions; use sudo if it belongs to another user.',
    { cause }
  )
}

function shown(file: string): string {
  return printable(file, MAX_PATH_LENGTH)
}
