// The three floors: imports go down only. models knows nothing of ours, src may use models, broker both.

import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import ts from 'typescript'

const root = fileURLToPath(new URL('../../', import.meta.url))

const PACKAGE = 'aedes-artemis'

/** Which floors the files of a floor may import beside their own; bench and test may import all. */
const ALLOWED: Record<string, readonly string[] | undefined> = {
  models: [],
  src: ['models'],
  broker: ['src', 'models']
}

/** What a source imports: statements, re-exports, `import()`, `require()` and import types. */
function importsOf(file: string, text: string): string[] {
  const imports: string[] = []
  const visit = (node: ts.Node): void => {
    const argument = specifierOf(node)
    if (argument !== undefined)
      imports.push(ts.isStringLiteralLike(argument) ? argument.text : `(${argument.getText()})`)
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(file, text, ts.ScriptTarget.ES2023, true))
  return imports
}

function specifierOf(node: ts.Node): ts.Expression | undefined {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return node.moduleSpecifier
  if (ts.isExternalModuleReference(node)) return node.expression
  if (ts.isImportTypeNode(node)) return ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined
  if (!ts.isCallExpression(node)) return undefined
  const isRequire = ts.isIdentifier(node.expression) && node.expression.text === 'require'
  return isRequire || node.expression.kind === ts.SyntaxKind.ImportKeyword ? node.arguments[0] : undefined
}

/** The floor that an import leads to; undefined for packages and for what stays outside the floors. */
function floorOf(file: string, specifier: string): string | undefined {
  if (specifier === PACKAGE) return 'src'
  if (specifier.startsWith(`${PACKAGE}/`)) return specifier.split('/')[1]
  if (!specifier.startsWith('.')) return undefined
  return path.posix.join(path.posix.dirname(file), specifier).split('/')[0]
}

/** The imports of a file that lead where its floor may not go, as sentences. */
function violationsOf(file: string, text: string): string[] {
  const floor = file.split('/')[0] ?? ''
  const allowed = ALLOWED[floor]
  if (allowed === undefined) return []
  return importsOf(file, text).flatMap(specifier => {
    const target = floorOf(file, specifier)
    const fits = target === undefined || target === floor || allowed.includes(target)
    return fits ? [] : [`${file} imports ${specifier}`]
  })
}

t.test('no floor imports from above', t => {
  let files = 0
  for (const floor of Object.keys(ALLOWED)) {
    for (const entry of readdirSync(path.join(root, floor), { recursive: true, encoding: 'utf8' })) {
      if (!entry.endsWith('.ts')) continue
      const file = path.posix.join(floor, entry.split(path.sep).join('/'))
      t.same(violationsOf(file, readFileSync(path.join(root, file), 'utf8')), [], file)
      files++
    }
  }
  t.ok(files > 3, `${files} files were looked at`)
  t.end()
})

t.test('every way of importing upwards is found', t => {
  const upward = [
    "import { a } from '../src/types.js'",
    "import type { A } from '../src/types.js'",
    "import '../src/types.js'",
    "export { a } from '../src/types.js'",
    "export type * from '../src/types.js'",
    "const a = await import('../src/types.js')",
    'const a = await import(`../src/types.js`)',
    "type A = import('../src/types.js').A",
    "import a = require('../src/types.js')",
    "const a = require('../src/types.js')",
    "import { a } from '../models/../src/types.js'",
    "import { a } from 'aedes-artemis'"
  ]
  for (const line of upward) t.equal(violationsOf('models/made-up.ts', line).length, 1, line)
  t.equal(violationsOf('src/tap/made-up.ts', "import '../../broker/main.js'").length, 1)
  t.equal(violationsOf('src/made-up.ts', "import '../bench/demo/demo.js'").length, 1)
  t.equal(violationsOf('broker/made-up.ts', "import '../test/floors.test.js'").length, 1)
  t.end()
})

t.test('downward and sideways imports are let through', t => {
  const allowed: [string, string][] = [
    ['models/deep/made-up.ts', "import '../detector.js'"],
    ['models/made-up.ts', "import 'node:fs'"],
    ['src/made-up.ts', "import '../models/detector.js'"],
    ['src/made-up.ts', "import 'aedes-artemis/models'"],
    ['broker/commands/made-up.ts', "import '../../src/index.js'\nimport '../../models/detector.js'"],
    ['models/made-up.ts', "// import '../src/types.js'\nconst a = \"import '../src/types.js'\""],
    ['test/made-up.ts', "import '../broker/main.js'"]
  ]
  for (const [file, text] of allowed) t.same(violationsOf(file, text), [], `${file}: ${text}`)
  t.end()
})
