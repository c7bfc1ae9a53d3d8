// The ssh tap against a real sshd: host keys, logins, and cleanup after a lost connection.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { openTap, type TapSettings } from '../../src/tap/catalog.js'
import type { SshTarget } from '../../src/tap/target.js'
import type { TapSession } from '../../src/types.js'
import { findProgram, programMissing } from '../support/programs.js'
import { makeKey, startSshd, type Sshd, type SshdOptions } from '../support/sshd.js'
import { captureImpossible, collect, loopback, startTraffic, tcpdumpsOn, waitUntil } from './traffic.js'

const skip = programMissing('sshd') || programMissing('ssh-keygen')
const skipCapture = skip || captureImpossible()

/** Starts an sshd for one test. `open` opens a tap over it. */
async function startServer(
  t: Test,
  options?: SshdOptions
): Promise<
  Sshd & {
    /** Directory for the test's files. */
    directory: string
    open(changes?: TapSettings, target?: Partial<SshTarget>, port?: number): Promise<TapSession>
  }
> {
  const directory = t.testdir({ sshd: {} })
  const sshd = await startSshd(join(directory, 'sshd'), options)
  t.teardown(sshd.stop)
  const { user, host, port, identityFile, knownHostsFile } = sshd
  return {
    ...sshd,
    directory,
    open: (changes, target, watched = 1883) =>
      openTap(
        { kind: 'ssh', user, host, port, interface: loopback(), ...target },
        { identityFile, knownHostsFile, ...changes },
        { ports: [watched], snapLength: 66 }
      )
  }
}

t.test('host keys', { skip }, async t => {
  const sshd = await startServer(t, { hostKeys: ['ed25519', 'rsa'] })
  const { directory } = sshd
  const name = `[127.0.0.1]:${sshd.port}`
  const seen =
    execFileSync(findProgram('ssh-keygen'), ['-lf', '-'], { input: sshd.hostKeys.ed25519, encoding: 'utf8' }).split(
      ' '
    )[1] ?? ''
  const knownHosts = (content: string): string => {
    const file = join(directory, 'known_hosts')
    writeFileSync(file, content)
    return file
  }

  t.test('rejects an unknown key and explains how to accept it', async t => {
    await t.rejects(sshd.open({ knownHostsFile: knownHosts('') }), {
      name: 'OperatorError',
      code: 'tap-host-key-unknown',
      message: `Unknown host key: ${name} is not in ${directory}/known_hosts. It presented the ssh-ed25519 key ${seen}.`,
      remedy: new RegExp(`ssh-keygen -lf .*ed25519_key.pub.*ssh-keyscan -p ${sshd.port} 127.0.0.1 >> .*fingerprint`)
    })
  })

  t.test('rejects a changed key', async t => {
    const wrong = makeKey(join(directory, 'wrong'))
    const line = execFileSync(findProgram('ssh-keygen'), ['-yf', wrong], { encoding: 'utf8' })
    await t.rejects(sshd.open({ knownHostsFile: knownHosts(`${name} ${line}`) }), {
      code: 'tap-host-key-changed',
      message: seen,
      remedy: /ssh-keygen -R.*man-in-the-middle/
    })
  })

  t.test('rejects a revoked key', async t => {
    const line = sshd.hostKeys.ed25519 ?? ''
    await t.rejects(sshd.open({ knownHostsFile: knownHosts(`${name} ${line}\n@revoked * ${line}\n`) }), {
      code: 'tap-host-key-revoked',
      message: seen
    })
  })

  t.test('requests the known key of a host with several', { skip: skipCapture }, async t => {
    const session = await sshd.open({ knownHostsFile: knownHosts(`${name} ${sshd.hostKeys.rsa}\n`) })
    t.match(await session.close(), { captured: Number, dropped: Number })
  })

  t.test('accepts a pinned fingerprint without a known_hosts file', { skip: skipCapture }, async t => {
    const session = await sshd.open({ hostKey: seen, knownHostsFile: join(directory, 'nowhere') })
    t.match(await session.close(), { captured: Number, dropped: Number })
  })

  t.test('rejects another fingerprint', async t => {
    const hostKey = `SHA256:${'A'.repeat(43)}`
    await t.rejects(sshd.open({ hostKey }), {
      code: 'tap-host-key-changed',
      message: new RegExp(`ssh-ed25519 key ${seen.replace(/[+/]/g, '.')}, not the configured ${hostKey}`)
    })
    await t.rejects(sshd.open({ hostKey: 'MD5:00:11' }), { code: 'tap-fingerprint', remedy: /ssh-keygen -l/ })
  })

  t.test('requires a configured known_hosts file to exist', async t => {
    await t.rejects(sshd.open({ knownHostsFile: join(directory, 'nowhere') }), {
      code: 'tap-known-hosts',
      message: /nowhere/
    })
  })
})

t.test('logins', { skip }, async t => {
  const sshd = await startServer(t)
  const { directory } = sshd

  t.test('reports a key that the server rejects', async t => {
    const identityFile = makeKey(join(directory, 'stranger'))
    await t.rejects(sshd.open({ identityFile }), {
      code: 'tap-login',
      message: new RegExp(`as ${sshd.user}: the server rejected the key .*stranger`),
      remedy: /ssh-copy-id/
    })
  })

  t.test('reports an unknown user', async t => {
    await t.rejects(sshd.open({}, { user: 'nobody-of-this-name' }), {
      code: 'tap-login',
      message: /nobody-of-this-name/
    })
  })

  t.test('reports an invalid or encrypted key file', async t => {
    await t.rejects(sshd.open({ identityFile: join(directory, 'nowhere') }), {
      code: 'tap-identity',
      message: /nowhere/
    })
    await t.rejects(sshd.open({ identityFile: sshd.knownHostsFile }), { code: 'tap-identity' })
    await t.rejects(sshd.open({ identityFile: `${sshd.identityFile}.pub` }), {
      code: 'tap-identity',
      message: /public key/
    })
    const locked = makeKey(join(directory, 'locked'), 'ed25519', 'open sesame')
    await t.rejects(sshd.open({ identityFile: locked }), { code: 'tap-identity', remedy: /ARTEMIS_SSH_PASSPHRASE/ })
  })

  t.test('uses an encrypted key with its passphrase', { skip: skipCapture }, async t => {
    const identityFile = join(directory, 'relocked')
    copyFileSync(sshd.identityFile, identityFile)
    chmodSync(identityFile, 0o600)
    execFileSync(findProgram('ssh-keygen'), ['-p', '-P', '', '-N', 'open sesame', '-f', identityFile], {
      stdio: 'ignore'
    })
    const session = await sshd.open({ identityFile, passphrase: 'open sesame' })
    t.match(await session.close(), { captured: Number, dropped: Number })
  })

  t.test('uses the keys of an agent', { skip: skipCapture || programMissing('ssh-agent') }, async t => {
    // A socket path has at most 107 characters.
    const agentSocket = join(mkdtempSync(join(tmpdir(), 'artemis-')), 'agent')
    const agent = spawn(findProgram('ssh-agent'), ['-D', '-a', agentSocket], { stdio: ['ignore', 'pipe', 'inherit'] })
    t.teardown(async () => {
      agent.kill()
      await once(agent, 'exit')
      rmSync(dirname(agentSocket), { recursive: true })
    })
    await once(agent.stdout, 'data')
    execFileSync(findProgram('ssh-add'), [sshd.identityFile], {
      env: { ...process.env, SSH_AUTH_SOCK: agentSocket },
      stdio: 'ignore'
    })
    const session = await sshd.open({ identityFile: undefined, agentSocket })
    t.match(await session.close(), { captured: Number, dropped: Number })
  })
})

t.test('reports connection failures', { skip }, async t => {
  const sshd = await startServer(t)
  const sockets = new Set<Socket>()
  async function listen(greet: (socket: Socket) => void): Promise<number> {
    const server = createServer(socket => {
      sockets.add(socket.on('error', () => {}))
      greet(socket)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => {
      server.close()
    })
    return (server.address() as AddressInfo).port
  }
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
  })

  // A DNS label has at most 63 characters: this name fails without a DNS query.
  await t.rejects(sshd.open({}, { host: 'a'.repeat(64) }), { code: 'tap-host-not-found' })
  const silent = await listen(() => {})
  await t.rejects(sshd.open({ connectTimeoutMs: 200 }, { port: silent }), {
    code: 'tap-timeout',
    message: /after 0.2 s/
  })
  const web = await listen(socket => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
  await t.rejects(sshd.open({}, { port: web }), { code: 'tap-handshake', remedy: /Check the port/ })
  const closing = await listen(socket => socket.end())
  await t.rejects(sshd.open({}, { port: closing }), { code: 'tap-handshake' })
  await sshd.stop()
  await t.rejects(sshd.open(), { code: 'tap-refused', message: new RegExp(`:${sshd.port}: connection refused`) })
})

t.test('reports missing tcpdump on the server', { skip }, async t => {
  const sshd = await startServer(t, {
    config: ['ForceCommand sh -c "$(echo "$SSH_ORIGINAL_COMMAND" | sed s/tcpdump/no-tcpdump-here/)"']
  })
  await t.rejects(sshd.open(), {
    code: 'tap-tcpdump-missing',
    message: new RegExp(`${sshd.user}@127.0.0.1`),
    remedy: /apt-get install tcpdump/
  })
})

t.test(
  'reports missing capture permission on the server',
  { skip: skip || programMissing('tcpdump') || programMissing('setpriv') },
  async t => {
    // No new privileges: neither those of root nor the file capabilities of tcpdump.
    const drop =
      process.getuid?.() === 0
        ? 'setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs'
        : 'setpriv --no-new-privs'
    const sshd = await startServer(t, { config: [`ForceCommand ${drop} sh -c "$SSH_ORIGINAL_COMMAND"`] })
    await t.rejects(sshd.open(), {
      code: 'tap-not-permitted',
      message: /No permission to capture/,
      remedy: /setcap cap_net_raw\+ep/
    })
  }
)

t.test('reports an unknown interface', { skip: skipCapture }, async t => {
  const sshd = await startServer(t)
  await t.rejects(sshd.open({}, { interface: 'nosuch0' }), {
    code: 'tap-interface',
    message: /nosuch0/,
    remedy: /ip link/
  })
})

t.test('rejects a capture of the SSH port', { skip }, async t => {
  const sshd = await startServer(t)
  await t.rejects(sshd.open({}, {}, sshd.port), { code: 'tap-port', message: /itself/ })
})

t.test('sudo', { skip: skipCapture }, async t => {
  const programs = t.testdir({ no: {}, yes: {} })
  const withSudo = (directory: string, body: string): SshdOptions => {
    writeFileSync(join(programs, directory, 'sudo'), `#!/bin/sh\n${body}\n`, { mode: 0o755 })
    return { config: [`SetEnv PATH=${join(programs, directory)}:/usr/local/bin:/usr/bin:/bin`] }
  }
  t.test('reports that sudo requires a password', async t => {
    const sshd = await startServer(t, withSudo('no', 'echo "sudo: a password is required" >&2; exit 1'))
    await t.rejects(sshd.open({ sudo: true }), {
      code: 'tap-sudo',
      message: /a password is required/,
      remedy: /NOPASSWD/
    })
  })
  t.test('captures with sudo', async t => {
    const sshd = await startServer(t, withSudo('yes', 'test "$1" = -n && shift && exec "$@"'))
    const session = await sshd.open({ sudo: true })
    t.match(await session.close(), { captured: Number, dropped: Number })
  })
})

/** A proxy to sshd that can drop or freeze the connection. */
async function startProxy(t: Test, sshd: Sshd): Promise<{ port: number; cut(): void; freeze(): void }> {
  const sockets: Socket[] = []
  const cut = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  const proxy = createServer(near => {
    const far = connect(sshd.port, '127.0.0.1')
    sockets.push(
      near.on('error', () => {}),
      far.on('error', () => {})
    )
    near.pipe(far).pipe(near)
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => {
    cut()
    proxy.close()
  })
  const { port } = proxy.address() as AddressInfo
  writeFileSync(sshd.knownHostsFile, `[127.0.0.1]:${port} ${sshd.hostKeys.ed25519}\n`)
  return {
    port,
    cut,
    freeze: () => {
      for (const socket of sockets) socket.unpipe().pause()
    }
  }
}

t.test('reports a lost connection and ends the remote tcpdump', { skip: skipCapture }, async t => {
  const sshd = await startServer(t)
  const traffic = await startTraffic()
  t.teardown(traffic.stop)
  const proxy = await startProxy(t, sshd)
  const session = await sshd.open({}, { port: proxy.port }, traffic.port)
  const seen = collect(session.bytes)
  await traffic.send('something to capture')
  await waitUntil('frames arrived', () => seen.bytes().length > 24)
  if (process.platform === 'linux') t.equal(tcpdumpsOn(traffic.port).length, 1, 'the remote tcpdump is running')
  proxy.cut()
  await t.rejects(seen.ended, { code: 'tap-connection-lost' })
  await waitUntil('the remote tcpdump has exited, without another frame', () => tcpdumpsOn(traffic.port).length === 0)
  t.same(await session.close(), {}, 'no counts')
})

t.test('closes the connection after unanswered keepalives', { skip: skipCapture }, async t => {
  const sshd = await startServer(t)
  const proxy = await startProxy(t, sshd)
  const session = await sshd.open({ keepaliveMs: 50 }, { port: proxy.port })
  const seen = collect(session.bytes)
  proxy.freeze()
  await t.rejects(seen.ended, { code: 'tap-connection-lost', message: /Keepalive timeout/ })
  await session.close()
})

t.test('closes without waiting for a frozen server', { skip: skipCapture }, async t => {
  const sshd = await startServer(t)
  const proxy = await startProxy(t, sshd)
  const session = await sshd.open({}, { port: proxy.port })
  proxy.freeze()
  t.same(await session.close(), {}, 'without counts, after a timeout')
})

t.test(
  'reports a killed remote tcpdump',
  { skip: skipCapture || (process.platform !== 'linux' && 'looks into /proc') },
  async t => {
    const sshd = await startServer(t)
    const traffic = await startTraffic()
    t.teardown(traffic.stop)
    const session = await sshd.open({}, {}, traffic.port)
    const seen = collect(session.bytes)
    for (const pid of tcpdumpsOn(traffic.port)) process.kill(pid, 'SIGKILL')
    await t.rejects(seen.ended, { code: 'tap-ended', message: /exited with code 137/ })
    await session.close()
  }
)
