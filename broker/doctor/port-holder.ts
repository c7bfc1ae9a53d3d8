// Finds the process that listens on a TCP port, from /proc of Linux.

import { readdir, readFile, readlink } from 'node:fs/promises'
import path from 'node:path'

/** A process. */
export interface PortHolder {
  pid: number
  /** The kernel's name of the process, at most 15 characters. */
  name: string
  /** The command line, its arguments separated by spaces. */
  command: string
}

/** State of a listening socket in /proc/net/tcp (proc(5)). */
const LISTEN = '0A'

/**
 * Finds the process that listens on a port; undefined if there is none, or if only root may see it.
 *
 * @param proc the folder `/proc`
 */
export async function portHolder(port: number, proc: string): Promise<PortHolder | undefined> {
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
    if (await hasSocket(path.join(proc, pid, 'fd'), inodes)) {
      const command = (await text(path.join(proc, pid, 'cmdline'))).split('\0').join(' ').trim()
      return { pid: Number(pid), name: (await text(path.join(proc, pid, 'comm'))).trim(), command }
    }
  }
  return undefined
}

/** Returns the inodes of sockets that listen on a port: `sl local_address rem_address st ... uid timeout inode`. */
function listeningInodes(table: string, port: number): string[] {
  return table
    .split('\n')
    .slice(1)
    .map(line => line.trim().split(/\s+/))
    .filter(([, local = '', , state]) => state === LISTEN && parseInt(local.split(':')[1] ?? '', 16) === port)
    .map(fields => fields[9] ?? '')
}

async function hasSocket(folder: string, inodes: ReadonlySet<string>): Promise<boolean> {
  // Processes of other users are not readable, and some have ended.
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
