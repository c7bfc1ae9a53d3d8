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
      // Implementations of an asynchronous interface may be synchronous.
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
        { selector: 'ExportDefaultDeclaration', message: 'No default exports: use the same name everywhere.' },
        { selector: 'PropertyDefinition[accessibility="private"]', message: HASH_PRIVATE },
        { selector: 'MethodDefinition[accessibility="private"][kind!="constructor"]', message: HASH_PRIVATE },
        { selector: 'TSParameterProperty[accessibility="private"]', message: HASH_PRIVATE }
      ]
    }
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      // Tests replace and restore methods, and destructure helpers made of closures.
      '@typescript-eslint/unbound-method': 'off',
      // A fake implements only the members under test.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      // tap awaits its own subtests.
      '@typescript-eslint/no-floating-promises': [
        'error',
        { allowForKnownSafePromises: [{ from: 'package', package: '@tapjs/core', name: 'PromiseWithSubtest' }] }
      ]
    }
  },
  { files: ['eslint.config.js'], rules: { 'no-restricted-syntax': 'off' } },
  { files: ['scripts/**', 'bench/**', 'test/**'], rules: { 'no-console': 'off' } }
)
