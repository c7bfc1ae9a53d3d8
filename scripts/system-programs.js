// The system programs that tests use: which Debian package holds each, and what for.

import { accessSync, constants } from 'node:fs'
import path from 'node:path'
import process from 'node:process'

/** One row for each program. A test that needs a program which is missing is skipped and says so. */
export const SYSTEM_PROGRAMS = [
  { program: 'tcpdump', package: 'tcpdump', purpose: 'captures, local and over ssh' },
  { program: 'sshd', package: 'openssh-server', purpose: 'a far end for the ssh tap' },
  { program: 'ssh-keygen', package: 'openssh-client', purpose: 'keys for the ssh tap' },
  { program: 'mosquitto', package: 'mosquitto', purpose: 'a broker that is not ours' },
  { program: 'mosquitto_passwd', package: 'mosquitto', purpose: 'password files that are not ours' },
  { program: 'mosquitto_pub', package: 'mosquitto-clients', purpose: 'a client that is not ours' },
  { program: 'mosquitto_sub', package: 'mosquitto-clients', purpose: 'a client that is not ours' },
  { program: 'openssl', package: 'openssl', purpose: 'certificates for listeners' },
  { program: 'ip', package: 'iproute2', purpose: 'network namespaces and interfaces' },
  { program: 'script', package: 'bsdutils', purpose: 'a terminal for progress bars and Ctrl-C' },
  { program: 'ethtool', package: 'ethtool', purpose: 'interfaces whose frames keep to the MTU' },
  { program: 'socat', package: 'socat', purpose: 'a link that loses, doubles and reorders packets' },
  { program: 'nft', package: 'nftables', purpose: 'addresses that are translated between tap and broker' },
  { program: 'systemd-analyze', package: 'systemd', purpose: 'checks the unit of the service' },
  { program: 'tshark', package: 'tshark', purpose: 'an independent decoder to agree with' },
  { program: 'chromium', package: 'chromium', purpose: 'a web page as a client' }
]

// Daemons live in sbin, which is not on the search path of an ordinary user.
const FOLDERS = [...(process.env.PATH ?? '').split(path.delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin']

/** Full path of a program, or undefined where this machine has none. */
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

/** The rows of {@link SYSTEM_PROGRAMS} that this machine lacks. */
export function missingPrograms() {
  return SYSTEM_PROGRAMS.filter(({ program }) => findProgram(program) === undefined)
}

/** The Debian packages that hold the programs of `rows`, each once. */
export function packagesOf(rows) {
  return [...new Set(rows.map(row => row.package))]
}
