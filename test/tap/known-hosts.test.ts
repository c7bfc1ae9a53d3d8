// The list of known hosts, as OpenSSH itself writes it.

import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  fingerprint,
  judgeHostKey,
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

function judge(text: string, host: string, port: number, shown: Buffer): string {
  return judgeHostKey(parseKnownHosts(text), knownHostName(host, port), shown)
}

t.test('names, ports and patterns', async t => {
  const line = `gateway,192.0.2.7 ssh-ed25519 ${ED25519} a comment\r\n`
  t.equal(judge(line, 'gateway', 22, key), 'known')
  t.equal(judge(line, 'GateWay', 22, key), 'known', 'host names have no case')
  t.equal(judge(line, '192.0.2.7', 22, key), 'known')
  t.equal(judge(line, 'gateway', 22, other), 'changed')
  t.equal(judge(line, 'gateway', 2222, key), 'unknown', 'another port is another host')
  t.equal(judge(line, 'gatewa', 22, key), 'unknown')
  t.equal(judge(`[gateway]:2222 ssh-ed25519 ${ED25519}`, 'gateway', 2222, key), 'known')
  t.equal(judge(`[gateway]:2222 ssh-ed25519 ${ED25519}`, 'gateway', 22, key), 'unknown')
  t.equal(judge(`[2001:db8::1]:2222 ssh-ed25519 ${ED25519}`, '2001:db8::1', 2222, key), 'known')
  t.equal(judge(`*.lan,!bad.lan ssh-ed25519 ${ED25519}`, 'pi.lan', 22, key), 'known')
  t.equal(judge(`*.lan,!bad.lan ssh-ed25519 ${ED25519}`, 'bad.lan', 22, key), 'unknown')
  t.equal(judge(`pi?.lan ssh-ed25519 ${ED25519}`, 'pi3.lan', 22, key), 'known')
  t.equal(judge(`pi?.lan ssh-ed25519 ${ED25519}`, 'pi3xlan', 22, key), 'unknown', 'a dot is a dot')
})

t.test('several keys, markers, and lines that are none', async t => {
  const text =
    `# gateway ssh-ed25519 ${OTHER}\n\ngateway\ngateway ssh-ed25519\n` +
    `@cert-authority gateway ssh-ed25519 ${OTHER}\ngateway ssh-rsa AAAAB3NzaC1yc2E=\n\tgateway  ssh-ed25519 ${ED25519}`
  t.equal(judge(text, 'gateway', 22, key), 'known')
  t.equal(judge(text, 'gateway', 22, other), 'changed', 'neither a comment nor a certificate authority is a host key')
  t.same([...knownKeyTypes(parseKnownHosts(text), 'gateway')], ['ssh-rsa', 'ssh-ed25519'])
  const revoked = `gateway ssh-ed25519 ${ED25519}\n@revoked * ssh-ed25519 ${ED25519}`
  t.equal(judge(revoked, 'gateway', 22, key), 'revoked', 'revoked wins')
  t.equal(judge(`@revoked gateway ssh-ed25519 ${ED25519}`, 'gateway', 22, other), 'unknown')
})

t.test('what ssh-keygen makes of it', { skip: programMissing('ssh-keygen') }, async t => {
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
    t.equal(judge(hashed, 'gateway', 22, blob), 'known')
    t.equal(judge(hashed, 'gateway', 2222, blob), 'known')
    t.equal(judge(hashed, 'gateway', 2223, blob), 'unknown')
    t.equal(judge(hashed, 'gateway', 22, key), 'changed')
  }
})

t.test('a key that is none', async t => {
  t.equal(keyTypeOf(Buffer.alloc(0)), '')
  t.equal(
    keyTypeOf(Buffer.from([255, 255, 255, 255, 27, 91])),
    '?[',
    'control characters of the far end reach no terminal'
  )
})
