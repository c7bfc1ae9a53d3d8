// Who holds a TCP port, as Linux shows it in /proc.

import { readdir, readFile, readlink } from 'node:fs/promises'
import path from 'node:path'

/** A process. */
export interface Holder {
  pid: number
  /** As the kernel calls it: at most 15 characters. */
  name: string
  /** The command line, its arguments parted by spaces. */
  command: string
}

/** State of a socket that listens, in /proc/net/tcp (proc(5)). */
const LISTEN = '0A'

/**
 * The process that listens on a port; undefined where none is found, or where only root may see it.
 *
 * @param proc the folder `/proc`
 */
export async function portHolder(port: number, proc: string): Promise<Holder | undefined> {
  const inodes = new Set(
    (
      await Promise.all(
        ['net/tcp', 'net/tcp6'].map(async table => listeningInodes(await text(path.join(proc, table)), port))
      )
    ).flat()
  )
  if (inodes.size === 0) return undefined
  const pids = (await readdir(proc).catch(() => [])).filter(name => /^\d+$/.test(name))
  for (const pid of pids) {
    if (await holdsOne(path.join(proc, pid, 'fd'), inodes)) {
      const command = (await text(path.join(proc, pid, 'cmdline'))).split('\0').join(' ').trim()
      return { pid: Number(pid), name: (await text(path.join(proc, pid, 'comm'))).trim(), command }
    }
  }
  return undefined
}

/** Inodes of the sockets that listen on a port: `sl local_address rem_address st ... uid timeout inode`. */
function listeningInodes(table: string, port: number): string[] {
  return table
    .split('\n')
    .slice(1)
    .map(line => line.trim().split(/\s+/))
    .filter(([, local = '', , state]) => state === LISTEN && parseInt(local.split(':')[1] ?? '', 16) === port)
    .map(fields => fields[9] ?? '')
}

async function holdsOne(folder: string, inodes: ReadonlySet<string>): Promise<boolean> {
  // Processes of others cannot be looked into, and some are gone by now.
  const files = await readdir(folder).catch(() => [])
  for (const file of files) {
    const inode = /^socket:\[(\d+)\]$/.exec(await readlink(path.join(folder, file)).catch(() => ''))?.[1]
    if (inode !== undefined && inodes.has(inode)) return true
  }
  return false
}

async function text(file: string): Promise<string> {
  return await readFile(file, 'utf8').catch(() => '')
}
