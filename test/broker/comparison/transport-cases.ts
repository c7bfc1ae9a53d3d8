// Cases of the comparison: TLS, client certificates and WebSocket.

import { chmodSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { clientCertificate, makeCertificates } from '../listeners/certificates.js'
import type { ComparedCase } from './cases.js'
import { MARK, Probe, type ProbeOptions } from './probe.js'

/** Makes certificates that mosquitto can read after it drops root privileges. */
function withCertificates(folder: string): void {
  makeCertificates(folder, ['localhost', 'alice', 'bob'])
  for (const name of readdirSync(folder)) chmodSync(path.join(folder, name), name === 'conf.d' ? 0o755 : 0o644)
}

const TLS = 'listener {port} 127.0.0.1\ncertfile {dir}/localhost.pem\nkeyfile {dir}/localhost.key\n'

function tls(folder: string, port: number, name?: string): ProbeOptions {
  const { ca, ...own } = clientCertificate(folder, name ?? 'alice')
  return { port, protocol: 'mqtts', ca, ...(name !== undefined && own), servername: 'localhost' }
}

export const TRANSPORT_CASES: readonly ComparedCase[] = [
  {
    name: 'TLS',
    config: { conf: `${TLS}allow_anonymous true\n`, prepare: withCertificates },
    run: async ({ folder, port }) => {
      const client = await Probe.connect(tls(folder, port))
      await client.subscribe(['t', MARK], 1)
      await client.publish('t', 'x'.repeat(20_000))
      const got = await client.caughtUpWith(client)
      await client.end()
      return [got, await Probe.connack({ port })]
    },
    expected: [[`t ${'x'.repeat(40)} q1`], 'closed']
  },
  {
    name: 'client certificates as usernames',
    config: {
      conf: `${TLS}cafile {dir}/ca.pem\nrequire_certificate true\nuse_identity_as_username true\nacl_file {dir}/rules\n`,
      files: { rules: `user alice\ntopic ${MARK}\ntopic alice/#\n` },
      prepare: withCertificates
    },
    run: async ({ folder, port }) => {
      const alice = await Probe.connect({
        ...tls(folder, port, 'alice'),
        username: 'bob',
        password: 'ignored',
        version: 5
      })
      const bob = await Probe.connect({ ...tls(folder, port, 'bob'), version: 5 })
      const answers = [
        await alice.publish('alice/x'),
        await alice.publish('bob/x'),
        await bob.publish('alice/x'),
        await Probe.connack(tls(folder, port))
      ]
      await Promise.all([alice.end(), bob.end()])
      return answers
    },
    expected: ['ok', 135, 135, 'closed']
  },
  {
    name: 'client certificates with usernames and passwords',
    config: { conf: `${TLS}cafile {dir}/ca.pem\nrequire_certificate true\n`, prepare: withCertificates },
    run: async ({ folder, port }) => await Probe.connack(tls(folder, port, 'alice')),
    expected: 5
  },
  {
    name: 'WebSocket together with TCP',
    config: {
      conf: 'listener {port} 127.0.0.1\nlistener {port2} 127.0.0.1\nprotocol websockets\nallow_anonymous true\n'
    },
    run: async ({ port, port2 }) => {
      const browser = await Probe.connect({ port: port2, protocol: 'ws', path: '/mqtt' })
      const device = await Probe.connect({ port })
      await browser.subscribe(['t', MARK], 1)
      await device.publish('t', 'x'.repeat(70_000))
      const got = await browser.caughtUpWith(device)
      await Promise.all([browser.end(), device.end()])
      return got
    },
    expected: [`t ${'x'.repeat(40)} q1`]
  }
]
