/** What the server says in notices, held against the library that speaks on the pages. */
import { setupI18n } from '@lingui/core'
import { compileMessage } from '@lingui/message-utils/compileMessage'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

interface Vectors {
  cases: { language: string; text: string; values: Record<string, string | number>; said: string }[]
}

const FILE = new URL('../../../tests/vectors/notice_words.json', import.meta.url)
const { cases } = JSON.parse(readFileSync(FILE, 'utf8')) as Vectors

function spoken(language: string, text: string, values: Record<string, string | number>): string {
  const speaker = setupI18n({ locale: language, messages: { [language]: { text: compileMessage(text) } } })
  return speaker._('text', values)
}

describe('notices', () => {
  it.each(cases)('$language: $text', ({ language, text, values, said }) => {
    expect(spoken(language, text, values)).toBe(said)
  })

  it.each(['en', 'es', 'ar'])('every text in %s can be read', (language) => {
    const file = new URL(`./notices/${language}.json`, import.meta.url)
    for (const text of Object.values(JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>)) {
      expect(() => compileMessage(text), text).not.toThrow()
    }
  })
})
