// Setup: compiles changes, removes stale output, and can run concurrently.

import { spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'

const root = fileURLToPath(new URL('../../../', import.meta.url))

interface SetupResult {
  code: number | null
  stderr: string
  ms: number
}

/** Runs setup in `folder`. */
function setup(folder: string): Promise<SetupResult> {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now()
    const child = spawn(process.execPath, [path.join(folder, 'scripts/setup.js')], {
      stdio: ['ignore', 'inherit', 'pipe']
    })
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    child.once('error', reject)
    child.once('close', code => resolve({ code, stderr, ms: performance.now() - startedAt }))
  })
}

/** Creates a small clone: one source, the real scripts, and a linked node_modules. */
function clone(test: Test): string {
  const folder = test.testdir({
    'package.json': '{ "type": "module" }',
    'package-lock.json': readFileSync(path.join(root, 'package-lock.json'), 'utf8'),
    'tsconfig.json': JSON.stringify({
      compilerOptions: {
        rootDir: '.',
        outDir: 'dist',
        declaration: true,
        incremental: true,
        tsBuildInfoFile: 'dist/.tsbuildinfo',
        types: []
      },
      include: ['src', 'test']
    }),
    src: { 'one.ts': 'export const one: number = 1\n' }
  })
  cpSync(path.join(root, 'scripts'), path.join(folder, 'scripts'), { recursive: true })
  symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'))
  return folder
}

t.test('compiles once, then only after a source has changed', async t => {
  const folder = clone(t)
  const first = await setup(folder)
  t.equal(first.code, 0, first.stderr)
  t.ok(existsSync(path.join(folder, 'dist/src/one.js')))

  const second = await setup(folder)
  t.same({ code: second.code, stderr: second.stderr }, { code: 0, stderr: '' })

  writeFileSync(path.join(folder, 'src/one.ts'), 'export const one: number = 11\n')
  t.equal((await setup(folder)).code, 0)
  t.match(readFileSync(path.join(folder, 'dist/src/one.js'), 'utf8'), /11/)
})

t.test('output without a source is removed, and missing output is rebuilt', async t => {
  const folder = clone(t)
  mkdirSync(path.join(folder, 'test/deep'), { recursive: true })
  writeFileSync(path.join(folder, 'test/deep/old.test.ts'), 'export const old = true\n')
  t.equal((await setup(folder)).code, 0)
  t.ok(existsSync(path.join(folder, 'dist/test/deep/old.test.js')))

  rmSync(path.join(folder, 'test'), { recursive: true })
  rmSync(path.join(folder, 'dist/src/one.js'))
  t.equal((await setup(folder)).code, 0)
  t.notOk(existsSync(path.join(folder, 'dist/test/deep/old.test.js')))
  t.notOk(existsSync(path.join(folder, 'dist/test/deep/old.test.d.ts')))
  t.ok(existsSync(path.join(folder, 'dist/src/one.js')))
})

t.test('a compile error fails each time, with its location on standard error', async t => {
  const folder = clone(t)
  writeFileSync(path.join(folder, 'src/one.ts'), 'export const one: number = "1"\n')
  for (const attempt of ['first', 'second']) {
    const { code, stderr } = await setup(folder)
    t.equal(code, 1, attempt)
    t.match(stderr, /one\.ts.*TS2322/s, attempt)
  }
})

t.test('concurrent setups all end with a complete build, even after a crash that left the lock', async t => {
  const folder = clone(t)
  mkdirSync(path.join(folder, 'dist'))
  const dead = spawn(process.execPath, ['-e', ''])
  await new Promise(resolve => dead.once('close', resolve))
  writeFileSync(path.join(folder, 'dist/.setup-lock'), String(dead.pid))
  const endings = await Promise.all([1, 2, 3].map(() => setup(folder)))
  t.same(
    endings.map(({ code }) => code),
    [0, 0, 0],
    endings.map(({ stderr }) => stderr).join('\n')
  )
  t.equal(endings.filter(({ stderr }) => stderr.includes('compiled in')).length, 1, 'only one compiles')
  t.notOk(existsSync(path.join(folder, 'dist/.setup-lock')))
})

t.test('a lock file with a new time but the same content installs nothing', async t => {
  const folder = clone(t)
  t.equal((await setup(folder)).code, 0)
  const now = new Date()
  utimesSync(path.join(folder, 'package-lock.json'), now, now)
  const { code, stderr } = await setup(folder)
  t.same({ code, stderr }, { code: 0, stderr: '' })
})

t.test('all optional packages may be missing, but not only some', async t => {
  const { isInstalled } = (await import(new URL('../../../scripts/setup/dependencies.js', import.meta.url).href)) as {
    isInstalled(root: string): boolean
  }
  const lock = (...names: string[]): string =>
    JSON.stringify({
      packages: Object.fromEntries(
        ['', ...names].map(name => [name, { version: '1.0.0', ...(name.startsWith('tensor') && { optional: true }) }])
      )
    })
  const installed = (...names: string[]): boolean =>
    isInstalled(
      t.testdir({
        'package-lock.json': lock('broker', 'tensors', 'tensor-backend'),
        node_modules: { '.package-lock.json': lock(...names) }
      })
    )
  t.ok(installed('broker', 'tensors', 'tensor-backend'))
  t.ok(installed('broker'), 'npm ci --omit=optional')
  t.notOk(installed('broker', 'tensors'), 'one optional package is new or failed to install')
  t.notOk(installed('tensors', 'tensor-backend'))
  t.notOk(installed())
})
