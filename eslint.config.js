import tseslint from 'typescript-eslint'

const HASH_PRIVATE = 'Use #name: private to the class at run time too.'

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', '.tap/', '.cache/'] },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      // An implementation of an asynchronous interface need not wait for anything.
      '@typescript-eslint/require-await': 'off'
    }
  },
  {
    rules: {
      eqeqeq: 'error',
      'no-console': 'error',
      'max-len': [
        'error',
        { code: 120, ignoreStrings: true, ignoreTemplateLiterals: true, ignoreRegExpLiterals: true }
      ],
      'no-restricted-syntax': [
        'error',
        { selector: 'ExportDefaultDeclaration', message: 'No default exports: a name is the same everywhere.' },
        { selector: 'PropertyDefinition[accessibility="private"]', message: HASH_PRIVATE },
        { selector: 'MethodDefinition[accessibility="private"][kind!="constructor"]', message: HASH_PRIVATE },
        { selector: 'TSParameterProperty[accessibility="private"]', message: HASH_PRIVATE }
      ]
    }
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      // Tests put methods aside and back, and take helpers made of closures apart.
      '@typescript-eslint/unbound-method': 'off',
      // A fake has only the parts that are asked for.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      // tap waits for its own subtests.
      '@typescript-eslint/no-floating-promises': [
        'error',
        { allowForKnownSafePromises: [{ from: 'package', package: '@tapjs/core', name: 'PromiseWithSubtest' }] }
      ]
    }
  },
  { files: ['eslint.config.js'], rules: { 'no-restricted-syntax': 'off' } },
  { files: ['scripts/**', 'bench/**', 'test/**'], rules: { 'no-console': 'off' } }
)
