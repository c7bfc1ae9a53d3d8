// System programs that tests use, with the Debian package and the purpose of each.

import { accessSync, constants } from 'node:fs'
import path from 'node:path'
import process from 'node:process'

/** All programs. A test that needs a missing program is skipped with a message. */
export const SYSTEM_PROGRAMS = [
  { program: 'tcpdump', package: 'tcpdump', purpose: 'captures, local and over ssh' },
  { program: 'sshd', package: 'openssh-server', purpose: 'server for the ssh tap' },
  { program: 'ssh-keygen', package: 'openssh-client', purpose: 'keys for the ssh tap' },
  { program: 'mosquitto', package: 'mosquitto', purpose: 'another broker' },
  { program: 'mosquitto_passwd', package: 'mosquitto', purpose: 'password files of another broker' },
  { program: 'mosquitto_pub', package: 'mosquitto-clients', purpose: 'another client' },
  { program: 'mosquitto_sub', package: 'mosquitto-clients', purpose: 'another client' },
  { program: 'openssl', package: 'openssl', purpose: 'certificates for listeners' },
  { program: 'ip', package: 'iproute2', purpose: 'network namespaces and interfaces' },
  { program: 'script', package: 'bsdutils', purpose: 'a terminal for progress bars and Ctrl-C' },
  { program: 'ethtool', package: 'ethtool', purpose: 'interfaces without offloads, whose frames fit the MTU' },
  { program: 'socat', package: 'socat', purpose: 'a link that loses, duplicates and reorders packets' },
  { program: 'nft', package: 'nftables', purpose: 'address translation between tap and broker' },
  { program: 'systemd-analyze', package: 'systemd', purpose: 'check of the systemd unit' },
  { program: 'tshark', package: 'tshark', purpose: 'an independent decoder to compare with' },
  { program: 'chromium', package: 'chromium', purpose: 'a web page as a client' }
]

// Daemons are in sbin, which is not on the PATH of an ordinary user.
const FOLDERS = [...(process.env.PATH ?? '').split(path.delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin']

/** Returns the full path of a program, or undefined if it is not installed. */
export function findProgram(program) {
  return FOLDERS.filter(folder => folder !== '')
    .map(folder => path.join(folder, program))
    .find(file => {
      try {
        accessSync(file, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

/** Returns the rows of {@link SYSTEM_PROGRAMS} that are not installed. */
export function missingPrograms() {
  return SYSTEM_PROGRAMS.filter(({ program }) => findProgram(program) === undefined)
}

/** Returns the Debian packages of `rows`, without duplicates. */
export function packagesOf(rows) {
  return [...new Set(rows.map(row => row.package))]
}
