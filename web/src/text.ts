/** Texts by id. Who turns an id into words is decided by the entry: the board does without a library. */
import type board from './locales/board/en.json'
import type passenger from './locales/en.json'
import type screens from './locales/screens/en.json'

export type TextId = keyof typeof board | keyof typeof passenger | keyof typeof screens
export type Values = Record<string, string | number>
export type Speaker = (id: string, values?: Values) => string

/** A sentence still to be put into the reader's language. */
export interface Text {
  id: TextId
  values?: Values
}

let speaker: Speaker = (id) => id

export function speakWith(chosen: Speaker): void {
  speaker = chosen
}

export function say(id: TextId, values?: Values): string {
  return speaker(id, values)
}

export function sayText({ id, values }: Text): string {
  return say(id, values)
}
