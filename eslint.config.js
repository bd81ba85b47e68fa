import js from '@eslint/js';
import svelte from 'eslint-plugin-svelte';
import globals from 'globals';
import ts from 'typescript-eslint';

/** Rules that catch bugs; what Prettier or the compiler does already is off. */
const nodeGlobals = ['process', 'Buffer', 'global', '__dirname', '__filename', 'require', 'setImmediate'];

export default ts.config(
  { ignores: ['dist', 'output', '.cache', 'coverage', 'public', '.venv', '**/*_pb.ts', 'tests/fixtures', 'cloud'] },
  js.configs.recommended,
  ...ts.configs.recommended,
  ...svelte.configs.recommended,
  {
    rules: {
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-console': 'off',
      'no-constant-condition': ['error', { checkLoops: 'allExceptWhileTrue' }],
      'no-implicit-coercion': ['error', { boolean: false }],
      'no-template-curly-in-string': 'error',
      'object-shorthand': 'error',
      'prefer-const': 'error',
      // The compiler's noUnusedLocals says it already, and knows types.
      '@typescript-eslint/no-unused-vars': 'off',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
  {
    files: ['src/**/*.ts', 'tests/**/*.ts', '*.config.ts'],
    ignores: ['**/*.svelte.ts'],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/no-array-delete': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-for-in-array': 'error',
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: { arguments: false } }],
      'no-throw-literal': 'error',
      '@typescript-eslint/prefer-promise-reject-errors': 'error',
      '@typescript-eslint/require-array-sort-compare': ['error', { ignoreStringArrays: true }],
      '@typescript-eslint/restrict-plus-operands': 'error',
      '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-unsafe-argument': 'error',
      '@typescript-eslint/no-unsafe-return': 'error',
    },
  },
  {
    files: ['**/*.svelte', '**/*.svelte.ts'],
    languageOptions: {
      globals: { ...globals.browser },
      parserOptions: { parser: ts.parser, extraFileExtensions: ['.svelte'] },
    },
    rules: {
      // Undefined names are the compiler's (svelte-check's) business.
      'no-undef': 'off',
      'svelte/no-navigation-without-resolve': 'off',
      // Sets that nothing on the page reads need no reactivity.
      'svelte/prefer-svelte-reactivity': 'off',
      // Knows less than svelte-check about what is warned of.
      'svelte/no-unused-svelte-ignore': 'off',
      // Text with an apostrophe or a no-break space in it.
      'svelte/no-useless-mustaches': 'off',
      'prefer-const': 'off',
      'svelte/prefer-const': 'error',
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/platform/node/**', 'src/cli/**'],
    rules: {
      'no-restricted-globals': [
        'error',
        ...nodeGlobals.map((name) => ({ name, message: 'Only platform/node and cli know Node; hand it in.' })),
      ],
      'no-restricted-properties': [
        'error',
        { object: 'crypto', property: 'randomUUID', message: 'Absent on insecure origins: use getRandomValues.' },
        { object: 'crypto', property: 'subtle', message: 'Absent on insecure origins: use @noble/hashes.' },
      ],
    },
  },
  {
    files: ['src/training/**/*.ts', 'src/engine/**/*.ts', 'src/workers/**/*.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector: 'CallExpression[callee.property.name=/^(dataSync|arraySync)$/]',
          message: 'Use await data(): dataSync kills the GPU process of Chromium or returns zeros.',
        },
        {
          selector:
            'CallExpression[callee.property.name="nextFrame"], CallExpression[callee.name="requestAnimationFrame"]',
          message: 'A hidden tab has no frames: training would stall.',
        },
      ],
    },
  },
  {
    files: ['scripts/**/*.mjs', '*.js', '.dependency-cruiser.cjs'],
    languageOptions: { globals: { ...globals.node } },
  },
  {
    files: ['tests/**/*.ts'],
    rules: {
      '@typescript-eslint/require-array-sort-compare': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
    },
  },
  { files: ['**/*.cjs'], languageOptions: { sourceType: 'commonjs' } },
);
