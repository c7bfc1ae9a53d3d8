// The service installer in staging folders: dry run, install, uninstall.

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

/** Returns all files below a folder. */
function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .sort()
}

/** The installer refuses programs in a home folder. */
const skip =
  /^\/(home|root|run\/user)\//.test(MAIN) || /^\/(home|root)\//.test(process.execPath)
    ? 'this clone or its node is in a home folder'
    : false

t.test('install prints its steps, runs them, and does nothing the second time', { skip }, async t => {
  const root = t.testdir({
    etc: { passwd: 'root:x:0:0::/root:/bin/sh\nartemis:x:990:990::/var/lib/artemis:/usr/sbin/nologin\n' }
  })
  const dryRun = await runArtemis(['service', 'install', '--root', root, '--dry-run'], root)
  t.equal(dryRun.code, 0)
  t.match(dryRun.stdout, `write ${root}${PATHS.unit}`)
  t.same(filesIn(root), ['etc/passwd'], '--dry-run writes nothing')

  const unconfirmed = await runArtemis(['service', 'install', '--root', root], root)
  t.match(unconfirmed, { code: 1, stderr: /Cannot ask for confirmation[\s\S]*--yes/ })
  t.same(filesIn(root), ['etc/passwd'], 'without confirmation nothing is written')

  const done = await runArtemis(['service', 'install', '--root', root, '--yes'], root)
  t.equal(done.code, 0)
  t.match(done.stdout, /not run because of --root: systemctl daemon-reload/)
  t.same(filesIn(root), ['etc/artemis/artemis.yaml', 'etc/passwd', 'etc/systemd/system/artemis.service'])
  t.equal(statSync(root + PATHS.settings).mode & 0o777, 0o640)
  t.match(readFileSync(root + PATHS.unit, 'utf8'), `${MAIN} broker --config /etc/artemis/artemis.yaml`)

  const again = await runArtemis(['service', 'install', '--root', root, '--yes'], root)
  t.match(again.stdout, /nothing to do/i)
})

t.test('--tap adds the capability, and an install without it removes it', { skip }, async t => {
  const root = t.testdir({
    etc: { passwd: 'artemis:x:990:990::/:/bin/false\n', artemis: { 'artemis.yaml': 'log: { level: warn }\n' } }
  })
  await runArtemis(['service', 'install', '--root', root, '--yes', '--tap'], root)
  t.equal(readFileSync(root + PATHS.tapDropIn, 'utf8'), TAP_DROP_IN)
  t.equal(readFileSync(root + PATHS.settings, 'utf8'), 'log: { level: warn }\n', 'existing settings are kept')
  const without = await runArtemis(['service', 'install', '--root', root, '--yes'], root)
  t.match(without.stdout, `remove ${root}${PATHS.tapDropIn}`)
  t.notOk(existsSync(root + PATHS.tapDropIn))
})

t.test('uninstall keeps settings and data without --purge, and does nothing if not installed', { skip }, async t => {
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

t.test('does not stop the program on the port, and prints how to switch', async t => {
  const machine = { root: t.testdir({ etc: { mosquitto: { 'mosquitto.conf': '' } } }) }
  const plan = installPlan(machine, PROGRAM, false, 'mosquitto')
  const commands = plan.steps.flatMap(step => (step.kind === 'run' ? [step.command.join(' ')] : []))
  t.notOk(
    commands.some(command => /mosquitto|start/.test(command)),
    'nothing is stopped or started'
  )
  t.match(plan.advice.join('\n'), /sudo systemctl disable --now mosquitto && sudo systemctl start artemis/)
  t.match(
    plan.advice.join('\n'),
    /To go back:\n +sudo systemctl disable --now artemis && sudo systemctl enable --now mosquitto/
  )
  const free = installPlan(machine, PROGRAM, false, undefined).steps
  t.match(free.at(-1), { command: ['systemctl', 'restart', 'artemis'] })
  t.match(uninstallPlan({ root: t.testdir({}) }, false), { steps: [], advice: [] })
})

t.test('refuses a program that the service could not read', async t => {
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

t.test('writes valid and minimal settings', async t => {
  for (const tap of [true, false]) {
    const plan = installPlan({ root: t.testdir({}) }, PROGRAM, tap, undefined)
    const step = plan.steps.find(item => item.kind === 'write' && item.file === PATHS.settings)
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

t.test('quotes paths with spaces and percent signs', async t => {
  t.match(
    unitText('/opt/my node/bin/node', '/opt/100%/$x/main.js'),
    '\nExecStart="/opt/my node/bin/node" --max-semi-space-size=1 "/opt/100%%/$$x/main.js" broker --config'
  )
})

t.test(
  'systemd-analyze accepts the unit and its exposure level',
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
    // There may be warnings about other units of this machine.
    t.same(
      verified.text.split('\n').filter(line => line.includes('artemis.service')),
      []
    )
    // The exposure level times ten, from 0 to 100, where 100 is a service without any protection.
    const { code, text } = await analyze('security', '--offline=true', '--threshold=25', unit)
    t.equal(code, 0, text.trim().split('\n').at(-1) ?? '')
  }
)
