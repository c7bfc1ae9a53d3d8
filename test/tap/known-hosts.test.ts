// known_hosts files as written by OpenSSH.

import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  fingerprint,
  checkHostKey,
  keyTypeOf,
  knownHostName,
  knownKeyTypes,
  parseKnownHosts
} from '../../src/tap/known-hosts.js'
import { findProgram, programMissing } from '../support/programs.js'
import { makeKey, publicKey } from '../support/sshd.js'

const ED25519 = 'AAAAC3NzaC1lZDI1NTE5AAAAIJ1cJHLqUWyILlgvCdtS0HHZffITVjrHptOitI6TvWmP'
const OTHER = 'AAAAC3NzaC1lZDI1NTE5AAAAIJ1cJHLqUWyILlgvCdtS0HHZffITVjrHptOitI6TvWmQ'
const key = Buffer.from(ED25519, 'base64')
const other = Buffer.from(OTHER, 'base64')

function check(text: string, host: string, port: number, shown: Buffer): string {
  return checkHostKey(parseKnownHosts(text), knownHostName(host, port), shown)
}

t.test('matches names, ports and patterns', async t => {
  const line = `gateway,192.0.2.7 ssh-ed25519 ${ED25519} a comment\r\n`
  t.equal(check(line, 'gateway', 22, key), 'known')
  t.equal(check(line, 'GateWay', 22, key), 'known', 'host names are case-insensitive')
  t.equal(check(line, '192.0.2.7', 22, key), 'known')
  t.equal(check(line, 'gateway', 22, other), 'changed')
  t.equal(check(line, 'gateway', 2222, key), 'unknown', 'another port is another host')
  t.equal(check(line, 'gatewa', 22, key), 'unknown')
  t.equal(check(`[gateway]:2222 ssh-ed25519 ${ED25519}`, 'gateway', 2222, key), 'known')
  t.equal(check(`[gateway]:2222 ssh-ed25519 ${ED25519}`, 'gateway', 22, key), 'unknown')
  t.equal(check(`[2001:db8::1]:2222 ssh-ed25519 ${ED25519}`, '2001:db8::1', 2222, key), 'known')
  t.equal(check(`*.lan,!bad.lan ssh-ed25519 ${ED25519}`, 'pi.lan', 22, key), 'known')
  t.equal(check(`*.lan,!bad.lan ssh-ed25519 ${ED25519}`, 'bad.lan', 22, key), 'unknown')
  t.equal(check(`pi?.lan ssh-ed25519 ${ED25519}`, 'pi3.lan', 22, key), 'known')
  t.equal(check(`pi?.lan ssh-ed25519 ${ED25519}`, 'pi3xlan', 22, key), 'unknown', 'a dot is literal')
})

t.test('handles several keys, markers and invalid lines', async t => {
  const text =
    `# gateway ssh-ed25519 ${OTHER}\n\ngateway\ngateway ssh-ed25519\n` +
    `@cert-authority gateway ssh-ed25519 ${OTHER}\ngateway ssh-rsa AAAAB3NzaC1yc2E=\n\tgateway  ssh-ed25519 ${ED25519}`
  t.equal(check(text, 'gateway', 22, key), 'known')
  t.equal(check(text, 'gateway', 22, other), 'changed', 'comments and certificate authorities are not host keys')
  t.same([...knownKeyTypes(parseKnownHosts(text), 'gateway')], ['ssh-rsa', 'ssh-ed25519'])
  const revoked = `gateway ssh-ed25519 ${ED25519}\n@revoked * ssh-ed25519 ${ED25519}`
  t.equal(check(revoked, 'gateway', 22, key), 'revoked', 'revoked takes precedence')
  t.equal(check(`@revoked gateway ssh-ed25519 ${ED25519}`, 'gateway', 22, other), 'unknown')
})

t.test('agrees with ssh-keygen', { skip: programMissing('ssh-keygen') }, async t => {
  const directory = t.testdir()
  const keygen = (...args: string[]): string =>
    execFileSync(findProgram('ssh-keygen'), args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  for (const type of ['ed25519', 'ecdsa', 'rsa'] as const) {
    const path = makeKey(join(directory, type), type)
    const line = publicKey(path)
    const blob = Buffer.from(line.split(' ')[1] ?? '', 'base64')
    t.equal(fingerprint(blob), keygen('-lf', `${path}.pub`).split(' ')[1], `the fingerprint of ${type}`)
    t.equal(keyTypeOf(blob), line.split(' ')[0])
    const file = join(directory, `known_${type}`)
    writeFileSync(file, `gateway ${line}\n[gateway]:2222 ${line}\n`)
    keygen('-H', '-f', file)
    const hashed = readFileSync(file, 'utf8')
    t.notMatch(hashed, 'gateway', 'the names are hashed')
    t.equal(check(hashed, 'gateway', 22, blob), 'known')
    t.equal(check(hashed, 'gateway', 2222, blob), 'known')
    t.equal(check(hashed, 'gateway', 2223, blob), 'unknown')
    t.equal(check(hashed, 'gateway', 22, key), 'changed')
  }
})

t.test('sanitises the type of an invalid key', async t => {
  t.equal(keyTypeOf(Buffer.alloc(0)), '')
  t.equal(keyTypeOf(Buffer.from([255, 255, 255, 255, 27, 91])), '?[', 'no control characters from the remote host')
})
