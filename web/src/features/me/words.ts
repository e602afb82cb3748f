/** The words of the settings: in the language that the person chose for alerts, unlike other pages. */
import { setupI18n } from '@lingui/core'
import { createContext, useContext } from 'react'
import { messages as arabic } from '../../locales/me/ar.json?lingui'
import type english from '../../locales/me/en.json'
import { messages as plain } from '../../locales/me/en.json?lingui'
import { messages as spanish } from '../../locales/me/es.json?lingui'
import places from '../../locales/places/ar.json'
import type { Values } from '../../text'

export type MeTextId = keyof typeof english
export const LANGUAGES = [['en', 'English'], ['es', 'Español'], ['ar', 'العربية']] as const
export type LanguageCode = (typeof LANGUAGES)[number][0]

export interface Words {
  lang: LanguageCode
  dir: 'ltr' | 'rtl'
  say: (id: MeTextId, values?: Values) => string
  placeOf: (iata: string, city: string | undefined) => string
  /** "8 Mar 2013", of a date without a zone. */
  dayOf: (date: string) => string
  /** What the clocks of a zone are called. */
  zoneName: (zone: string) => string
}

const CATALOGUES = { en: plain, es: spanish, ar: arabic }
// Digits stay Latin, as on all screens.
const LOCALES = { en: 'en-GB', es: 'es', ar: 'ar-u-ca-gregory-nu-latn' }

function isolated(values: Values): Values {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, `\u2068${value}\u2069`]))
}

function clocksOf(locale: string, zone: string): string {
  try {
    const format = new Intl.DateTimeFormat(locale, { timeZone: zone, timeZoneName: 'longGeneric' })
    return format.formatToParts(0).find(({ type }) => type === 'timeZoneName')?.value ?? zone
  } catch {
    return zone
  }
}

function wordsIn(lang: LanguageCode): Words {
  const [i18n, locale, rtl] = [setupI18n({ locale: lang, messages: { [lang]: CATALOGUES[lang] } }), LOCALES[lang], lang === 'ar']
  const names: Partial<Record<string, string>> = rtl ? places : {}
  const day = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' })
  return {
    lang,
    dir: rtl ? 'rtl' : 'ltr',
    say: (id, values = {}) => i18n._(id, rtl ? isolated(values) : values),
    placeOf: (iata, city) => names[iata] ?? city ?? iata,
    dayOf: (date) => day.format(Date.parse(date)),
    zoneName: (zone) => clocksOf(locale, zone),
  }
}

const SPOKEN = new Map(LANGUAGES.map(([code]) => [code as string, wordsIn(code)]))

/** Words in a language such as `es-MX`; English where it is none of ours. */
export function wordsOf(language: string): Words {
  return SPOKEN.get(language.slice(0, 2)) ?? wordsIn('en')
}

const Spoken = createContext(wordsOf('en'))
export const WordsProvider = Spoken.Provider

export function useWords(): Words {
  return useContext(Spoken)
}
