// Lint rules: the recommended ones, the promises that nobody waits for, and the table of rooms (tools/rooms.mjs).
import js from '@eslint/js';
import typescript from 'typescript-eslint';
import { roomsPlugin } from './tools/eslint/rooms-rule.mjs';
import { rooms, universalGlobals } from './tools/rooms.mjs';

const readonly = (names) => Object.fromEntries(names.map((name) => [name, 'readonly']));
const nodeGlobals = readonly(['process', 'console', 'Buffer', 'URL', 'setTimeout', 'clearTimeout', 'setInterval', 'performance', 'fetch']);

export default typescript.config(
  { ignores: ['dist/', 'artifacts/', '**/node_modules/', '.vscode-test/'] },
  {
    files: ['**/*.ts'],
    extends: [js.configs.recommended, typescript.configs.recommended, typescript.configs.stylistic],
    plugins: { ringside: roomsPlugin },
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      'ringside/imports': 'error',
      'no-undef': 'off', // the type check knows better, except in rooms without a platform (below)
      'no-constant-condition': ['error', { checkLoops: false }],
      'no-fallthrough': 'off', // noFallthroughCasesInSwitch
      eqeqeq: ['error', 'always'],
      'no-console': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrors: 'none' }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'separate-type-imports' }],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: { arguments: false } }],
      '@typescript-eslint/prefer-for-of': 'off', // hot loops are counted on purpose
      '@typescript-eslint/no-empty-function': 'off', // NOP's semantics are an empty function
      'no-restricted-syntax': ['error', { selector: 'ExportDefaultDeclaration', message: 'No default exports: a thing has one name everywhere.' }],
    },
  },
  ...rooms.filter(({ platform }) => platform === 'none').map(({ room, globals = [] }) => ({
    files: [`src/${room}/**/*.ts`],
    ignores: ['**/*.test.ts'],
    languageOptions: { parserOptions: { lib: ['es2023'] }, globals: readonly([...universalGlobals, ...globals]) },
    rules: { 'no-undef': 'error' },
  })),
  { files: ['src/cli/**/*.ts', 'test/**/*.ts', 'tools/**/*.ts'], rules: { 'no-console': 'off' } },
  {
    files: ['**/*.test.ts', 'test/**/*.ts'],
    rules: { '@typescript-eslint/no-non-null-assertion': 'off', '@typescript-eslint/no-unused-expressions': 'off' },
  },
  { files: ['**/*.mjs'], extends: [js.configs.recommended], languageOptions: { globals: nodeGlobals } },
  {
    files: ['**/*.cjs'],
    extends: [js.configs.recommended],
    languageOptions: { sourceType: 'commonjs', globals: { ...nodeGlobals, require: 'readonly', module: 'writable', __dirname: 'readonly' } },
  },
);
