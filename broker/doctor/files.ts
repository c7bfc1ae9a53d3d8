// Checks the files named in the settings: keys, certificates, users, access rules, reports.

import { createPrivateKey, X509Certificate } from 'node:crypto'
import { constants } from 'node:fs'
import { access, readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import type { Settings } from '../config/schema.js'
import { MAX_PATH_LENGTH, printable } from '../terminal/printable.js'
import { note, ok, problem, type Finding, type CheckContext } from './finding.js'

const EXPIRY_NOTE_MS = 14 * 86_400_000
const READABLE_BY_OTHERS = 0o004
/** The text of a file, or the problem with it. */
type Read = { text: string } | Finding

/** Checks the files that the broker reads and writes. */
export async function checkFiles({ effective, now }: CheckContext): Promise<Finding[]> {
  if (effective === undefined) return []
  const { listeners, auth, report } = effective.settings
  const findings: Finding[] = []
  for (const { tls } of listeners) if (tls !== null) findings.push(...(await checkTls(tls, now)))
  for (const [what, file] of accessFiles(listeners, auth)) findings.push(...(await checkAccessFile(what, file)))
  for (const [key, file] of Object.entries(report))
    if (file !== null) findings.push(await checkReport(`report.${key}`, file))
  return findings
}

type Tls = NonNullable<Settings['listeners'][number]['tls']>

async function checkTls({ cert, key, ca }: Tls, now: number): Promise<Finding[]> {
  const read = {
    cert: await readText('The certificate', cert),
    key: await readText('The private key', key),
    ca: ca === null ? { text: '' } : await readText('The certificates for clients', ca)
  }
  const unreadable = Object.values(read).filter(result => 'level' in result)
  if (unreadable.length > 0 || !('text' in read.cert) || !('text' in read.key)) return unreadable
  const name = printable(cert, MAX_PATH_LENGTH)
  try {
    const certificate = new X509Certificate(read.cert.text)
    if (!certificate.checkPrivateKey(createPrivateKey(read.key.text)))
      return [
        problem(
          `The key ${printable(key, MAX_PATH_LENGTH)} does not match the certificate ${name}.`,
          'Set the private key of this certificate.'
        )
      ]
    return [validity(name, Date.parse(certificate.validFrom), Date.parse(certificate.validTo), now)]
  } catch (error) {
    return [
      problem(
        `The certificate ${name} or its key is invalid: ${printable((error as Error).message)}.`,
        'Both must be PEM files, the key without a passphrase.'
      )
    ]
  }
}

function validity(name: string, from: number, to: number, now: number): Finding {
  const day = (time: number): string => new Date(time).toISOString().slice(0, 10)
  if (now > to)
    return problem(
      `The certificate ${name} expired on ${day(to)}.`,
      'Renew it, and send SIGHUP to a running broker to reload it.'
    )
  if (now < from)
    return problem(`The certificate ${name} is not valid before ${day(from)}.`, 'Check the clock of this machine.')
  if (now > to - EXPIRY_NOTE_MS) return note(`The certificate ${name} expires on ${day(to)}.`, 'Renew it.')
  return ok(`The certificate ${name} is valid until ${day(to)}, and its key matches.`)
}

function accessFiles(listeners: Settings['listeners'], auth: Settings['auth']): [string, string][] {
  const files = new Map<string, string>()
  for (const { passwordFile, aclFile } of [auth, ...listeners]) {
    if (passwordFile !== null) files.set(passwordFile, 'The password file')
    if (aclFile !== null) files.set(aclFile, 'The access rule file')
  }
  return Array.from(files, ([file, what]) => [what, file])
}

async function checkAccessFile(what: string, file: string): Promise<Finding[]> {
  const read = await readText(what, file)
  if ('level' in read) return [read]
  const { mode } = await stat(file)
  if ((mode & READABLE_BY_OTHERS) === 0) return [ok(`${what} ${printable(file, MAX_PATH_LENGTH)} is readable.`)]
  return [
    note(
      `${what} ${printable(file, MAX_PATH_LENGTH)} is readable by all users of this machine.`,
      `chmod o= ${printable(file, MAX_PATH_LENGTH)}`
    )
  ]
}

async function readText(what: string, file: string): Promise<Read> {
  try {
    return { text: await readFile(file, 'utf8') }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const why =
      code === 'ENOENT'
        ? 'does not exist'
        : code === 'EACCES'
          ? 'is not readable by this user'
          : `cannot be read (${code})`
    return problem(
      `${what} ${printable(file, MAX_PATH_LENGTH)} ${why}.`,
      'Check its name, and the owner and mode of the file and its parent folders.'
    )
  }
}

async function checkReport(key: string, file: string): Promise<Finding> {
  const name = printable(file, MAX_PATH_LENGTH)
  const target = await stat(file).then(
    () => file,
    () => path.dirname(file)
  )
  try {
    await access(target, constants.W_OK)
    return ok(`${key} is writable: ${name}.`)
  } catch (error) {
    return problem(
      `Cannot write ${key} to ${name}: ${(error as NodeJS.ErrnoException).code}.`,
      'Set a file in an existing folder that this user may write to.'
    )
  }
}
