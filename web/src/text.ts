/** Texts by id. Who turns an id into words is decided by the entry: the board does without a library. */
import type alerts from './locales/alerts/en.json'
import type board from './locales/board/en.json'
import type history from './locales/history/en.json'
import type passenger from './locales/en.json'
import type screens from './locales/screens/en.json'

export type TextId = keyof typeof alerts | keyof typeof board | keyof typeof history | keyof typeof passenger | keyof typeof screens
export type Values = Record<string, string | number>
export type Speaker = (id: string, values?: Values) => string

/** A sentence still to be put into the reader's language. */
export interface Text {
  id: TextId
  values?: Values
}

/** How a language is spoken, and which places have a name of their own in it. */
export interface Language {
  lang: string
  dir: 'ltr' | 'rtl'
  speaker: Speaker
  places: Partial<Record<string, string>>
}

let spoken: Language = { lang: 'en', dir: 'ltr', speaker: (id) => id, places: {} }

export function speakIn(language: Language): void {
  spoken = language
}

export function speakWith(speaker: Speaker): void {
  speakIn({ lang: 'en', dir: 'ltr', speaker, places: {} })
}

export function languageNow(): Language {
  return spoken
}

export function say(id: TextId, values?: Values): string {
  return spoken.speaker(id, values)
}

export function sayText({ id, values }: Text): string {
  return say(id, values)
}

/** The city of an airport in the language spoken now, else as the server names it. */
export function placeOf(iata: string, city: string | undefined): string {
  return spoken.places[iata] ?? city ?? iata
}
