import js from '@eslint/js';
import globals from 'globals';
import noWords from './tools/no-words.js';

export default [
  { ignores: ['built', 'vendor'] },
  js.configs.recommended,
  {
    languageOptions: { ecmaVersion: 2024, sourceType: 'module', globals: { ...globals.browser, ...globals.worker } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      curly: ['error', 'multi-line'],
      eqeqeq: 'error',
      'no-implicit-globals': 'error',
      'no-promise-executor-return': 'off',
      'no-restricted-properties': [
        'error',
        { property: 'innerHTML', message: 'Nothing that somebody wrote is parsed as markup: use h() of app/dom.js.' },
        { property: 'outerHTML', message: 'Nothing that somebody wrote is parsed as markup: use h() of app/dom.js.' },
        { property: 'insertAdjacentHTML', message: 'Nothing that somebody wrote is parsed as markup: use h() of app/dom.js.' },
      ],
      'no-eval': 'error',
      'no-implied-eval': 'error',
      'no-new-func': 'error',
      'no-shadow': 'error',
      'no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      'no-var': 'error',
      'object-shorthand': 'error',
      'prefer-const': 'error',
    },
  },
  { files: ['app/boot.js'], languageOptions: { sourceType: 'script', globals: { PRELOADS: 'readonly' } } },
  { files: ['app/*.js'], plugins: { parley: { rules: { 'no-words': noWords } } }, rules: { 'parley/no-words': 'error' } },
  { files: ['tools/**', 'sdk/examples/webhook-receiver.js'], languageOptions: { globals: globals.node } },
];
