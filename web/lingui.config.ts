import type { LinguiConfig } from '@lingui/conf'
import { formatter } from '@lingui/format-json'

const config: LinguiConfig = {
  sourceLocale: 'en',
  locales: ['en', 'es', 'ar'],
  catalogs: [
    { path: '<rootDir>/src/locales/{locale}', include: ['<rootDir>/src'] },
    { path: '<rootDir>/src/locales/history/{locale}', include: ['<rootDir>/src'] },
    // The words that boards and passenger pages share, apart so that the board carries no others, and the reverse.
    { path: '<rootDir>/src/locales/screens/{locale}', include: ['<rootDir>/src'] },
    { path: '<rootDir>/src/locales/alerts/{locale}', include: ['<rootDir>/src'] },
    { path: '<rootDir>/src/locales/me/{locale}', include: ['<rootDir>/src'] },
    { path: '<rootDir>/src/locales/board/{locale}', include: ['<rootDir>/src'] },
  ],
  format: formatter({ style: 'minimal' }),
}

export default config
