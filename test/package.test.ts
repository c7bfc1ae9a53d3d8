// The packed package: what it contains, that it installs beside either Aedes, and that its types stand on their own.

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../../', import.meta.url))

interface Manifest {
  name: string
  dependencies: Record<string, string>
  optionalDependencies: Record<string, string>
  peerDependencies: Record<string, string>
}

const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as Manifest

const NPM = ['--ignore-scripts', '--omit=optional', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error']

/** Names of packages in import and export statements, and in `import()`. */
const IMPORTS = /(?:^(?:import|export)\s+(?:[\w*{}\s,$]+\s+from\s+)?|\bimport\()'([@a-z][^']*)'/gm

/** Uses every export that a guest needs, under the strictest settings and without skipLibCheck. */
const GUEST = `
import {
  artemis, DEFAULTS, FEATURES, OperatorError, TOPICS,
  type ArtemisOptions, type ArtemisStatus, type EveAlert, type EveBan
} from '${manifest.name}'
import { createDetector } from '${manifest.name}/models'
import type { Aedes } from 'aedes'

const options: ArtemisOptions = {
  tap: { target: 'none' }, learn: { seconds: 60 }, alert: { weight: 0.4 }, response: { action: 'ban', banSeconds: 60 }
}

export function attach(aedes: Aedes): ArtemisStatus {
  const ids = artemis(aedes, options)
  ids.on('alert', (alert, event: EveAlert) => { console.log(alert.subject.clientId, event.alert.severity) })
  ids.on('ban', (ban, ending, event: EveBan) => { console.log(ban.until, ending, event.artemis.state) })
  ids.ban({ address: '192.0.2.1' }, 60)
  const rules: string[] = ids.alerts().map(({ artemis: { rule } }) => rule)
  console.log(rules, ids.bans().length, DEFAULTS.ports, FEATURES.length, TOPICS.alerts, OperatorError.name)
  console.log(createDetector('iforest').decisionFunction)
  return ids.status()
}
`

const TSCONFIG = {
  compilerOptions: {
    target: 'ES2022',
    module: 'NodeNext',
    moduleResolution: 'NodeNext',
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    noEmit: true,
    types: ['node']
  },
  files: ['guest.ts', 'wrong.ts']
}

/** Starts the detection on the Aedes that is installed, and stops it. */
const PLUGIN = `
import { createServer } from 'node:net'
import { Aedes } from 'aedes'
import { artemis } from '${manifest.name}'
const aedes = await Aedes.createBroker()
const ids = artemis(aedes, { tap: { target: 'none' } })
const server = createServer(aedes.handle).listen(0)
ids.ban({ clientId: 'x' })
console.log(ids.bans().length, ids.alerts().length, ids.status().response.action)
await ids.close()
server.close()
aedes.close()
`

/** The package as npm publishes it. */
let packed: Promise<string> | undefined

function pack(): Promise<string> {
  packed ??= (async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'artemis-package-'))
    t.teardown(() => {
      rmSync(folder, { recursive: true })
    })
    const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder]
    const { stdout } = await run('npm', args, { cwd: root })
    const [{ filename }] = JSON.parse(stdout) as [{ filename: string }]
    return path.join(folder, filename)
  })()
  return packed
}

async function unpack(archive: string, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true })
  await run('tar', ['-xzf', archive, '-C', folder, '--strip-components=1'])
}

/** Installs from the registry, which the other tests do not need. */
async function install(test: Test, args: readonly string[], cwd: string): Promise<boolean> {
  try {
    await run('npm', ['install', ...NPM, ...args], { cwd })
    return true
  } catch (error) {
    const { stderr } = error as { stderr: string }
    const isOffline = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH/.test(stderr)
    if (!isOffline || process.env.ARTEMIS_REQUIRE_ALL !== undefined) throw error
    test.pass('skipped: the npm registry cannot be reached', { skip: 'the npm registry cannot be reached' })
    return false
  }
}

t.test('the package contains what runs and nothing else, and declares what it imports', async t => {
  const folder = t.testdir({})
  await unpack(await pack(), path.join(folder, 'package'))
  const files = readdirSync(path.join(folder, 'package'), { recursive: true, encoding: 'utf8' })
  for (const wanted of ['README.md', 'LICENSE', 'package.json', 'dist/broker/main.js', 'dist/src/index.d.ts'])
    t.ok(files.includes(wanted), wanted)
  t.same(
    files.filter(file => /(^|\/)(test|bench)\/|\.map$|(?<!\.d)\.ts$/.test(file)),
    []
  )
  const { dependencies, optionalDependencies, peerDependencies } = manifest
  const declared = new Set([...Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })])
  const imported = new Set<string>()
  for (const file of files.filter(file => /\.(js|d\.ts)$/.test(file))) {
    const text = readFileSync(path.join(folder, 'package', file), 'utf8')
    for (const [, name] of text.matchAll(IMPORTS)) {
      if (name.startsWith('node:') || builtinModules.includes(name)) continue
      imported.add(name.split('/', name.startsWith('@') ? 2 : 1).join('/'))
    }
  }
  t.ok(imported.size > 5, [...imported].join(' '))
  t.same(
    [...imported].filter(name => !declared.has(name)),
    []
  )
})

for (const aedes of ['aedes', 'aedes-1']) {
  t.test(`the types compile in a strict project with ${aedes}, without skipLibCheck`, async t => {
    const folder = t.testdir({
      'guest.ts': GUEST,
      'wrong.ts': "import { attach } from './guest.js'\nexport const wrong: number = attach\n",
      'tsconfig.json': JSON.stringify(TSCONFIG),
      'package.json': '{"type":"module"}'
    })
    await unpack(await pack(), path.join(folder, 'node_modules', manifest.name))
    symlinkSync(path.join(root, 'node_modules', aedes), path.join(folder, 'node_modules/aedes'))
    const tsc = path.join(root, 'node_modules/typescript/bin/tsc')
    const { stdout } = await run(process.execPath, [tsc, '-p', folder, '--pretty', 'false']).catch(
      (error: unknown) => error as { stdout: string }
    )
    const errors = stdout.split('\n').filter(line => line !== '' && !line.startsWith(' '))
    t.match(errors, [/wrong\.ts.* TS2322/], 'the deliberate error alone')
    t.equal(errors.length, 1, stdout)
  })
}

t.test('installed beside Aedes 1.2, the plug-in attaches to it and the program brings its own Aedes', async t => {
  const folder = t.testdir({ 'package.json': '{"type":"module"}', 'plugin.js': PLUGIN })
  if (!(await install(t, [await pack(), 'aedes@1.2.0'], folder))) return
  const { stdout } = await run(process.execPath, ['plugin.js'], { cwd: folder })
  t.equal(stdout, '1 0 observe\n')
  await serves(t, path.join(folder, 'node_modules/.bin/artemis'), folder)
})

t.test('installed globally, the program serves', async t => {
  const folder = t.testdir({})
  if (!(await install(t, ['--global', '--prefix', path.join(folder, 'prefix'), await pack()], folder))) return
  await serves(t, path.join(folder, 'prefix/bin/artemis'), folder)
})

async function serves(test: Test, program: string, folder: string): Promise<void> {
  const data = path.join(folder, 'data')
  const child = spawn(program, ['broker', '--port', '0', '--data', data], { stdio: ['ignore', 'pipe', 'pipe'] })
  test.teardown(() => child.kill('SIGKILL'))
  let output = ''
  const ready = new Promise<void>((resolve, reject) => {
    const read = (chunk: Buffer): void => {
      output += chunk.toString()
      if (output.includes('Artemis is ready')) resolve()
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    child.once('exit', code => {
      reject(new Error(`exit code ${String(code)}: ${output}`))
    })
  })
  await ready
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  test.same(await ended, [0, null], output)
  rmSync(data, { recursive: true })
}
