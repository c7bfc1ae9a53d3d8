// The installer on folders that stand for a machine: it says what it does, does it once, and takes it back.

import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { parse } from 'yaml'
import { installPlan, uninstallPlan } from '../../../broker/service/plans.js'
import { PATHS, TAP_DROP_IN, unitText } from '../../../broker/service/unit.js'
import { readSettings } from '../../../broker/config/settings.js'
import { findProgram, programMissing } from '../../support/programs.js'
import { MAIN, runArtemis } from '../running-broker.js'

const run = promisify(execFile)
const PROGRAM = { node: '/usr/bin/node', main: '/usr/lib/node_modules/aedes-artemis/dist/broker/main.js' }

/** Everything below a folder. */
function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .sort()
}

/** The program itself may lie in a home folder here, which the installer refuses. */
const skip =
  /^\/(home|root|run\/user)\//.test(MAIN) || /^\/(home|root)\//.test(process.execPath)
    ? 'this clone or its node lies in a home folder'
    : false

t.test('it says first what it does, does it, and does nothing the second time', { skip }, async t => {
  const root = t.testdir({
    etc: { passwd: 'root:x:0:0::/root:/bin/sh\nartemis:x:990:990::/var/lib/artemis:/usr/sbin/nologin\n' }
  })
  const look = await runArtemis(['service', 'install', '--root', root, '--dry-run'], root)
  t.equal(look.code, 0)
  t.match(look.stdout, `write ${root}${PATHS.unit}`)
  t.same(filesIn(root), ['etc/passwd'], '--dry-run writes nothing')

  const asked = await runArtemis(['service', 'install', '--root', root], root)
  t.match(asked, { code: 1, stderr: /nobody to ask[\s\S]*--yes/ })
  t.same(filesIn(root), ['etc/passwd'], 'without an answer nothing is written')

  const done = await runArtemis(['service', 'install', '--root', root, '--yes'], root)
  t.equal(done.code, 0)
  t.match(done.stdout, /not run because of --root: systemctl daemon-reload/)
  t.same(filesIn(root), ['etc/artemis/artemis.yaml', 'etc/passwd', 'etc/systemd/system/artemis.service'])
  t.equal(statSync(root + PATHS.settings).mode & 0o777, 0o640)
  t.match(readFileSync(root + PATHS.unit, 'utf8'), `${MAIN} broker --config /etc/artemis/artemis.yaml`)

  const again = await runArtemis(['service', 'install', '--root', root, '--yes'], root)
  t.match(again.stdout, /nothing to do/i)
})

t.test('a tap of this machine is let in, and out again, and nothing else changes', { skip }, async t => {
  const root = t.testdir({
    etc: { passwd: 'artemis:x:990:990::/:/bin/false\n', artemis: { 'artemis.yaml': 'log: { level: warn }\n' } }
  })
  await runArtemis(['service', 'install', '--root', root, '--yes', '--tap'], root)
  t.equal(readFileSync(root + PATHS.tapDropIn, 'utf8'), TAP_DROP_IN)
  t.equal(readFileSync(root + PATHS.settings, 'utf8'), 'log: { level: warn }\n', 'settings that are there stay')
  const without = await runArtemis(['service', 'install', '--root', root, '--yes'], root)
  t.match(without.stdout, `remove ${root}${PATHS.tapDropIn}`)
  t.notOk(existsSync(root + PATHS.tapDropIn))
})

t.test('uninstall keeps settings and data unless told, and is content where there is nothing', { skip }, async t => {
  const root = t.testdir({ etc: { passwd: '' } })
  await runArtemis(['service', 'install', '--root', root, '--yes', '--tap'], root)
  mkdirSync(root + PATHS.data, { recursive: true })
  writeFileSync(path.join(root + PATHS.data, 'model.json'), '{}')
  const out = await runArtemis(['service', 'uninstall', '--root', root, '--yes'], root)
  t.match(out.stdout, /systemctl disable --now artemis/)
  t.same(filesIn(root), ['etc/artemis/artemis.yaml', 'etc/passwd', 'var/lib/artemis/model.json'])
  t.match((await runArtemis(['service', 'uninstall', '--root', root, '--yes'], root)).stdout, /nothing to do/i)
  await runArtemis(['service', 'uninstall', '--root', root, '--yes', '--purge'], root)
  t.same(filesIn(root), ['etc/passwd'])
})

t.test('what holds the port is left alone, and how to change places is said', async t => {
  const machine = { root: t.testdir({ etc: { mosquitto: { 'mosquitto.conf': '' } } }) }
  const beside = installPlan(machine, PROGRAM, false, 'mosquitto')
  const commands = beside.steps.flatMap(step => (step.kind === 'run' ? [step.command.join(' ')] : []))
  t.notOk(
    commands.some(command => /mosquitto|start/.test(command)),
    'nothing is stopped and nothing started'
  )
  t.match(beside.advice.join('\n'), /sudo systemctl disable --now mosquitto && sudo systemctl start artemis/)
  t.match(
    beside.advice.join('\n'),
    /go back:\n +sudo systemctl disable --now artemis && sudo systemctl enable --now mosquitto/
  )
  const free = installPlan(machine, PROGRAM, false, undefined).steps
  t.match(free.at(-1), { command: ['systemctl', 'restart', 'artemis'] })
  t.match(uninstallPlan({ root: t.testdir({}) }, false), { steps: [], advice: [] })
})

t.test('a program that the service could not read is refused', async t => {
  const machine = { root: t.testdir({}) }
  for (const file of ['/home/pi/artemis/dist/broker/main.js', '/root/x/main.js']) {
    t.throws(() => installPlan(machine, { ...PROGRAM, main: file }, false, undefined), {
      code: 'service-program',
      message: file,
      remedy: /npm install --global/
    })
  }
  t.throws(() => installPlan(machine, { ...PROGRAM, node: '/home/pi/.nvm/node' }, false, undefined), {
    code: 'service-program'
  })
})

t.test('the settings it writes are sound, and say as little as they can', async t => {
  for (const tap of [true, false]) {
    const plan = installPlan({ root: t.testdir({}) }, PROGRAM, tap, undefined)
    const step = plan.steps.find(one => one.kind === 'write' && one.file === PATHS.settings)
    if (step?.kind !== 'write') throw new Error('no settings')
    const folder = t.testdir({ 'artemis.yaml': step.text })
    const { settings } = readSettings({}, folder)
    t.match(settings, {
      listeners: [{ host: '127.0.0.1', port: 1883 }],
      data: '/var/lib/artemis',
      tap: { target: tap ? 'auto' : 'none' }
    })
    t.same(Object.keys(parse(step.text) as object), ['listeners', 'data', 'tap'])
  }
})

t.test("paths with spaces and percent signs are the program's own", async t => {
  t.match(
    unitText('/opt/my node/bin/node', '/opt/100%/$x/main.js'),
    '\nExecStart="/opt/my node/bin/node" --max-semi-space-size=1 "/opt/100%%/$$x/main.js" broker --config'
  )
})

t.test(
  'systemd itself finds nothing wrong, and little exposed',
  { skip: programMissing('systemd-analyze') },
  async t => {
    const folder = t.testdir({
      'artemis.service': unitText(process.execPath, MAIN),
      'artemis.service.d': { 'local-tap.conf': TAP_DROP_IN }
    })
    const unit = path.join(folder, 'artemis.service')
    const analyze = async (...args: string[]): Promise<{ code: number; text: string }> => {
      try {
        const { stdout, stderr } = await run(findProgram('systemd-analyze'), args)
        return { code: 0, text: stdout + stderr }
      } catch (error) {
        const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }
        return { code, text: stdout + stderr }
      }
    }
    const verified = await analyze('verify', '--man=no', unit)
    // Of other units of this machine it may complain too.
    t.same(
      verified.text.split('\n').filter(line => line.includes('artemis.service')),
      []
    )
    // Tenths of the exposure level: 0 is safe, 100 is a service without any protection.
    const { code, text } = await analyze('security', '--offline=true', '--threshold=25', unit)
    t.equal(code, 0, text.trim().split('\n').at(-1) ?? '')
  }
)
