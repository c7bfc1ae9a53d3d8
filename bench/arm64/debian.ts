// Unpacks Debian's arm64 Node into a folder from which qemu can run it.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'

/** The first Debian release whose Node is new enough (20). */
const RELEASE = 'trixie'
const PACKAGES = ['nodejs']

/** Downloads and unpacks Node unless the folder already contains it. Leaves apt's own state unchanged. */
export function unpackDebian(folder: string): string {
  const root = path.join(folder, 'root')
  if (existsSync(path.join(root, 'usr/bin/node'))) return root
  const state = path.join(folder, 'apt')
  for (const needed of ['lists/partial', 'cache/archives/partial'])
    mkdirSync(path.join(state, needed), { recursive: true })
  mkdirSync(root, { recursive: true })
  writeFileSync(
    path.join(state, 'sources.list'),
    `deb [arch=arm64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian ${RELEASE} main\n`
  )
  writeFileSync(
    path.join(state, 'apt.conf'),
    `Dir::Etc::sourcelist "${state}/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "${state}/lists";
Dir::State::status "/dev/null";
Dir::Cache "${state}/cache";
APT::Architecture "arm64";
APT::Architectures "arm64";
`
  )
  const env = { ...process.env, APT_CONFIG: path.join(state, 'apt.conf') }
  const run = (...[program = '', ...args]: string[]): void => {
    execFileSync(program, args, { env, stdio: ['ignore', 2, 2] })
  }
  run('apt-get', 'update', '-q')
  run('apt-get', 'install', '-y', '-q', '--download-only', '--no-install-recommends', ...PACKAGES)
  const archives = path.join(state, 'cache/archives')
  for (const name of readdirSync(archives).filter(file => file.endsWith('.deb')))
    run('dpkg-deb', '-x', path.join(archives, name), root)
  // The loader is expected in /lib, which Debian links to usr/lib at installation.
  if (!existsSync(path.join(root, 'lib'))) symlinkSync('usr/lib', path.join(root, 'lib'))
  return root
}
