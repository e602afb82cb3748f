import js from '@eslint/js'
import reactHooks from 'eslint-plugin-react-hooks'
import globals from 'globals'
import { defineConfig, globalIgnores } from 'eslint/config'
import tseslint from 'typescript-eslint'

const FEATURES = ['airport', 'board', 'flight', 'home']
const BANNED = /^(message|event|notification|update|data|manager|service|helper|util|common|misc|handler|process_?.*|do_.*|handle_?[A-Z].*)$/

/** Features never import each other: what two of them need lives in components, hooks, live or rest. */
const walls = FEATURES.map((feature) => ({
  files: [`src/features/${feature}/**`],
  rules: {
    'no-restricted-imports': ['error', {
      patterns: [{
        regex: `(^|/)(features/)?(${FEATURES.filter((other) => other !== feature).join('|')})/`,
        message: 'Features never import each other.',
      }],
    }],
  },
}))

export default defineConfig(
  globalIgnores(['dist', 'node_modules']),
  js.configs.recommended,
  tseslint.configs.strictTypeChecked,
  { languageOptions: { parserOptions: { projectService: { allowDefaultProject: ['eslint.config.js', 'scripts/budget.mjs'] }, tsconfigRootDir: import.meta.dirname } } },
  {
    files: ['src/**/*.{ts,tsx}'],
    plugins: { 'react-hooks': reactHooks },
    languageOptions: { globals: globals.browser },
    rules: {
      ...reactHooks.configs.recommended.rules,
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      'no-restricted-syntax': ['error', {
        selector: `:matches(FunctionDeclaration, ClassDeclaration, VariableDeclarator, TSInterfaceDeclaration, TSTypeAliasDeclaration)[id.name=${BANNED}]`,
        message: 'The glossary bans this bare word.',
      }],
      'max-lines': ['error', 400],
    },
  },
  {
    // The live core knows no view library; the socket library has one user.
    files: ['src/live/**'],
    rules: { 'no-restricted-imports': ['error', { patterns: [{ regex: '^react|/(features|components|hooks|rest)/', message: 'src/live stands alone.' }] }] },
  },
  { files: ['src/**'], rules: { '@typescript-eslint/no-restricted-imports': ['error', 'centrifuge', 'axios'] } },
  { files: ['src/live/client.ts'], rules: { '@typescript-eslint/no-restricted-imports': ['error', 'axios'] } },
  { files: ['src/rest/client.ts'], rules: { '@typescript-eslint/no-restricted-imports': ['error', 'centrifuge'] } },
  ...walls,
  {
    files: ['**/*.test.{ts,tsx}'],
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/no-restricted-imports': 'off',
    },
  },
  { files: ['**/*.{js,mjs}'], extends: [tseslint.configs.disableTypeChecked], languageOptions: { globals: globals.node } },
)
