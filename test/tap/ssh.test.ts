// The ssh tap against a real sshd: who is let in, who is not, and what is left when a connection is cut.

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

/** An sshd for one test, and a way to open a tap by it. */
async function farEnd(
  t: Test,
  options?: SshdOptions
): Promise<
  Sshd & {
    /** For the test's own files. */
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
  const sshd = await farEnd(t, { hostKeys: ['ed25519', 'rsa'] })
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

  t.test('an unknown one is refused, named, with the way to accept it', async t => {
    await t.rejects(sshd.open({ knownHostsFile: knownHosts('') }), {
      name: 'OperatorError',
      code: 'tap-host-key-unknown',
      message: `The host ${name} is not in ${directory}/known_hosts; it shows the ssh-ed25519 key ${seen}.`,
      remedy: new RegExp(`ssh-keygen -lf .*ed25519_key.pub.*ssh-keyscan -p ${sshd.port} 127.0.0.1 >> .*fingerprint`)
    })
  })

  t.test('a changed one is refused', async t => {
    const wrong = makeKey(join(directory, 'wrong'))
    const line = execFileSync(findProgram('ssh-keygen'), ['-yf', wrong], { encoding: 'utf8' })
    await t.rejects(sshd.open({ knownHostsFile: knownHosts(`${name} ${line}`) }), {
      code: 'tap-host-key-changed',
      message: seen,
      remedy: /ssh-keygen -R.*stand between/
    })
  })

  t.test('a revoked one is refused', async t => {
    const line = sshd.hostKeys.ed25519 ?? ''
    await t.rejects(sshd.open({ knownHostsFile: knownHosts(`${name} ${line}\n@revoked * ${line}\n`) }), {
      code: 'tap-host-key-revoked',
      message: seen
    })
  })

  t.test('of several, the known one is asked for', { skip: skipCapture }, async t => {
    const session = await sshd.open({ knownHostsFile: knownHosts(`${name} ${sshd.hostKeys.rsa}\n`) })
    t.match(await session.close(), { captured: Number, dropped: Number })
  })

  t.test('a fingerprint pins as well, without any file', { skip: skipCapture }, async t => {
    const session = await sshd.open({ hostKey: seen, knownHostsFile: join(directory, 'nowhere') })
    t.match(await session.close(), { captured: Number, dropped: Number })
  })

  t.test('another fingerprint is refused', async t => {
    const hostKey = `SHA256:${'A'.repeat(43)}`
    await t.rejects(sshd.open({ hostKey }), {
      code: 'tap-host-key-changed',
      message: new RegExp(`ssh-ed25519 key ${seen.replace(/[+/]/g, '.')}, not the configured ${hostKey}`)
    })
    await t.rejects(sshd.open({ hostKey: 'MD5:00:11' }), { code: 'tap-fingerprint', remedy: /ssh-keygen -l/ })
  })

  t.test('a known_hosts file that was named must be there', async t => {
    await t.rejects(sshd.open({ knownHostsFile: join(directory, 'nowhere') }), {
      code: 'tap-known-hosts',
      message: /nowhere/
    })
  })
})

t.test('logins', { skip }, async t => {
  const sshd = await farEnd(t)
  const { directory } = sshd

  t.test('a key that is not welcome', async t => {
    const identityFile = makeKey(join(directory, 'stranger'))
    await t.rejects(sshd.open({ identityFile }), {
      code: 'tap-login',
      message: new RegExp(`does not let ${sshd.user} in by the key .*stranger`),
      remedy: /ssh-copy-id/
    })
  })

  t.test('a user that is not there', async t => {
    await t.rejects(sshd.open({}, { user: 'nobody-of-this-name' }), {
      code: 'tap-login',
      message: /nobody-of-this-name/
    })
  })

  t.test('a key file that is none, or locked', async t => {
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

  t.test('a locked key with its passphrase', { skip: skipCapture }, async t => {
    const identityFile = join(directory, 'relocked')
    copyFileSync(sshd.identityFile, identityFile)
    chmodSync(identityFile, 0o600)
    execFileSync(findProgram('ssh-keygen'), ['-p', '-P', '', '-N', 'open sesame', '-f', identityFile], {
      stdio: 'ignore'
    })
    const session = await sshd.open({ identityFile, passphrase: 'open sesame' })
    t.match(await session.close(), { captured: Number, dropped: Number })
  })

  t.test('the keys of an agent', { skip: skipCapture || programMissing('ssh-agent') }, async t => {
    // The path of a socket has 107 characters at most.
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

t.test('hosts that are not there', { skip }, async t => {
  const sshd = await farEnd(t)
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

  // A label of a name has 63 letters at most: no name server needs to be asked.
  await t.rejects(sshd.open({}, { host: 'a'.repeat(64) }), { code: 'tap-host-not-found' })
  const mute = await listen(() => {})
  await t.rejects(sshd.open({ connectTimeoutMs: 200 }, { port: mute }), {
    code: 'tap-timeout',
    message: /within 0.2 s/
  })
  const web = await listen(socket => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
  await t.rejects(sshd.open({}, { port: web }), { code: 'tap-handshake', remedy: /Check the port/ })
  const shy = await listen(socket => socket.end())
  await t.rejects(sshd.open({}, { port: shy }), { code: 'tap-handshake' })
  await sshd.stop()
  await t.rejects(sshd.open(), { code: 'tap-refused', message: new RegExp(`refuses connections on port ${sshd.port}`) })
})

t.test('a far end without tcpdump', { skip }, async t => {
  const sshd = await farEnd(t, {
    config: ['ForceCommand sh -c "$(echo "$SSH_ORIGINAL_COMMAND" | sed s/tcpdump/no-tcpdump-here/)"']
  })
  await t.rejects(sshd.open(), {
    code: 'tap-tcpdump-missing',
    message: new RegExp(`${sshd.user}@127.0.0.1`),
    remedy: /apt-get install tcpdump/
  })
})

t.test(
  'a far end where the user may not capture',
  { skip: skip || programMissing('tcpdump') || programMissing('setpriv') },
  async t => {
    // No new privileges: neither root's nor those that stand on the file of tcpdump.
    const drop =
      process.getuid?.() === 0
        ? 'setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs'
        : 'setpriv --no-new-privs'
    const sshd = await farEnd(t, { config: [`ForceCommand ${drop} sh -c "$SSH_ORIGINAL_COMMAND"`] })
    await t.rejects(sshd.open(), {
      code: 'tap-not-permitted',
      message: /may not capture on/,
      remedy: /setcap cap_net_raw\+ep/
    })
  }
)

t.test('an interface that is not there', { skip: skipCapture }, async t => {
  const sshd = await farEnd(t)
  await t.rejects(sshd.open({}, { interface: 'nosuch0' }), {
    code: 'tap-interface',
    message: /nosuch0/,
    remedy: /ip link/
  })
})

t.test('a capture of the connection itself is refused', { skip }, async t => {
  const sshd = await farEnd(t)
  await t.rejects(sshd.open({}, {}, sshd.port), { code: 'tap-port', message: /itself/ })
})

t.test('sudo', { skip: skipCapture }, async t => {
  const programs = t.testdir({ no: {}, yes: {} })
  const withSudo = (directory: string, body: string): SshdOptions => {
    writeFileSync(join(programs, directory, 'sudo'), `#!/bin/sh\n${body}\n`, { mode: 0o755 })
    return { config: [`SetEnv PATH=${join(programs, directory)}:/usr/local/bin:/usr/bin:/bin`] }
  }
  t.test('that wants a password', async t => {
    const sshd = await farEnd(t, withSudo('no', 'echo "sudo: a password is required" >&2; exit 1'))
    await t.rejects(sshd.open({ sudo: true }), {
      code: 'tap-sudo',
      message: /a password is required/,
      remedy: /NOPASSWD/
    })
  })
  t.test('that allows it', async t => {
    const sshd = await farEnd(t, withSudo('yes', 'test "$1" = -n && shift && exec "$@"'))
    const session = await sshd.open({ sudo: true })
    t.match(await session.close(), { captured: Number, dropped: Number })
  })
})

/** A way to an sshd that can be cut or frozen. */
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

t.test('a connection that is cut', { skip: skipCapture }, async t => {
  const sshd = await farEnd(t)
  const traffic = await startTraffic()
  t.teardown(traffic.stop)
  const proxy = await startProxy(t, sshd)
  const session = await sshd.open({}, { port: proxy.port }, traffic.port)
  const seen = collect(session.bytes)
  await traffic.send('something to capture')
  await waitUntil('frames came', () => seen.bytes().length > 24)
  if (process.platform === 'linux') t.equal(tcpdumpsOn(traffic.port).length, 1, 'the far tcpdump runs')
  proxy.cut()
  await t.rejects(seen.ended, { code: 'tap-connection-lost' })
  await waitUntil('the far tcpdump is gone, without another frame', () => tcpdumpsOn(traffic.port).length === 0)
  t.same(await session.close(), {}, 'the counts are lost with it')
})

t.test('a far end that falls silent', { skip: skipCapture }, async t => {
  const sshd = await farEnd(t)
  const proxy = await startProxy(t, sshd)
  const session = await sshd.open({ keepaliveMs: 50 }, { port: proxy.port })
  const seen = collect(session.bytes)
  proxy.freeze()
  await t.rejects(seen.ended, { code: 'tap-connection-lost', message: /Keepalive timeout/ })
  await session.close()
})

t.test('closing does not wait for a far end that is silent', { skip: skipCapture }, async t => {
  const sshd = await farEnd(t)
  const proxy = await startProxy(t, sshd)
  const session = await sshd.open({}, { port: proxy.port })
  proxy.freeze()
  t.same(await session.close(), {}, 'it is over after a while, without counts')
})

t.test(
  'a far tcpdump that is killed',
  { skip: skipCapture || (process.platform !== 'linux' && 'looks into /proc') },
  async t => {
    const sshd = await farEnd(t)
    const traffic = await startTraffic()
    t.teardown(traffic.stop)
    const session = await sshd.open({}, {}, traffic.port)
    const seen = collect(session.bytes)
    for (const pid of tcpdumpsOn(traffic.port)) process.kill(pid, 'SIGKILL')
    await t.rejects(seen.ended, { code: 'tap-ended', message: /exit code 137/ })
    await session.close()
  }
)
