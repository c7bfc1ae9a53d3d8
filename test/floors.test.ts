// The three layers: imports go down only. models imports neither of the others, src may import models, broker both.

import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import ts from 'typescript'

const root = fileURLToPath(new URL('../../', import.meta.url))

const PACKAGE = 'aedes-artemis'

/** Other layers that each layer may import. bench and test may import all. */
const ALLOWED: Record<string, readonly string[] | undefined> = {
  models: [],
  src: ['models'],
  broker: ['src', 'models']
}

/** Returns the imports of a source: statements, re-exports, `import()`, `require()` and import types. */
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

/** Returns the layer of an import; undefined for packages and files outside the layers. */
function layerOf(file: string, specifier: string): string | undefined {
  if (specifier === PACKAGE) return 'src'
  if (specifier.startsWith(`${PACKAGE}/`)) return specifier.split('/')[1]
  if (!specifier.startsWith('.')) return undefined
  return path.posix.join(path.posix.dirname(file), specifier).split('/')[0]
}

/** Returns the imports that a file's layer does not allow, as messages. */
function violationsOf(file: string, text: string): string[] {
  const layer = file.split('/')[0] ?? ''
  const allowed = ALLOWED[layer]
  if (allowed === undefined) return []
  return importsOf(file, text).flatMap(specifier => {
    const target = layerOf(file, specifier)
    const isAllowed = target === undefined || target === layer || allowed.includes(target)
    return isAllowed ? [] : [`${file} imports ${specifier}`]
  })
}

t.test('no layer imports from a higher one', t => {
  let files = 0
  for (const layer of Object.keys(ALLOWED)) {
    for (const entry of readdirSync(path.join(root, layer), { recursive: true, encoding: 'utf8' })) {
      if (!entry.endsWith('.ts')) continue
      const file = path.posix.join(layer, entry.split(path.sep).join('/'))
      t.same(violationsOf(file, readFileSync(path.join(root, file), 'utf8')), [], file)
      files++
    }
  }
  t.ok(files > 3, `${files} files were checked`)
  t.end()
})

t.test('every kind of upward import is found', t => {
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

t.test('downward and sideways imports are allowed', t => {
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
