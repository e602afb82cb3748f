import { TONES, type Tone } from '../../components/remarkTone'
import { timeOf } from '../../format'
import type { Freshness } from '../../live/freshness'
import { type Leg, changedLately, isCancelled, minutesLate, numbersOf, reached, timesOf } from '../../live/leg'
import { type BoardRow, type Remark, type RemarkKind, DELAYED_FROM, gateLook, remark } from '../../live/remarks'
import { type Text, languageNow, placeOf, say, sayText } from '../../text'

/** One row as it is painted; flat, so that an unchanged row costs nothing. */
export interface RowView {
  lang: string
  time: string
  newTime: string
  newTimeLate: boolean
  timeOld: boolean
  place: string
  airline: string
  number: string
  tile: string
  tileFilled: boolean
  tileRinged: boolean
  tileQuiet: boolean
  tileWas: string
  kind: RemarkKind
  word: string
  tone: Tone
  note: string
  cancelled: boolean
  done: boolean
}

/** Arrivals show the belt where the feed tells belts, else the gate. */
export type TileColumn = 'gate' | 'belt'

/** Which of a leg's numbers is shown: turns in step over all rows and screens. */
export const NUMBER_MS = 5_000

export function rowView(
  row: BoardRow, boardNow: number, feedState: Freshness, column: TileColumn, turn = 0,
): RowView {
  const { leg, movement } = row
  const departing = movement === 'departures'
  const zone = departing ? leg.dep_tz : leg.arr_tz
  const { due, best } = timesOf(leg, movement)
  const cancelled = isCancelled(leg)
  const done = !cancelled && reached(leg, departing ? 'off_block' : 'landed')
  const moved = due !== undefined && timeOf(best, zone) !== timeOf(due, zone)
  const newTime = moved && !cancelled && !done ? timeOf(best, zone) : ''
  const look = gateLook(row, boardNow, feedState)
  const said = remark(row, boardNow, feedState)
  const numbers = numbersOf(leg)
  return {
    lang: languageNow().lang,
    time: timeOf(due ?? best, zone),
    newTime,
    newTimeLate: (minutesLate(leg, movement) ?? 0) >= DELAYED_FROM,
    timeOld: newTime !== '' || done,
    place: departing ? placeOf(leg.arr_airport, leg.arr_city) : placeOf(leg.dep_airport, leg.dep_city),
    airline: leg.airline,
    number: '',
    ...numbers[turn % numbers.length],
    tile: tileOf(row, column),
    tileFilled: look.filled,
    tileRinged: look.ringed,
    tileQuiet: look.quiet,
    tileWas: look.was ?? (cancelled ? '' : wasOf(row, boardNow, column)),
    kind: said.kind,
    word: said.kind === 'none' ? '' : say(`remark.${said.kind}`),
    tone: TONES[said.kind],
    note: noteOf(said, leg, zone),
    cancelled,
    done,
  }
}

function tileOf({ leg, movement }: BoardRow, column: TileColumn): string {
  if (isCancelled(leg)) return ''
  if (movement === 'departures') return leg.dep_gate ?? ''
  return (column === 'belt' ? leg.belts?.join(' ') : leg.arr_gate) ?? ''
}

/** The belt or gate of an arrival that people may still walk to. */
function wasOf({ leg, movement }: BoardRow, boardNow: number, column: TileColumn): string {
  if (movement === 'departures') return ''
  const [is, was, at] = column === 'belt'
    ? [leg.belts?.join(' '), leg.belts_was?.join(' '), leg.belts_at]
    : [leg.arr_gate, leg.arr_gate_was, leg.arr_gate_at]
  return is && was && is !== was && changedLately(at, boardNow) ? was : ''
}

/** What the remark adds in small print; the new time has its own column. */
function noteOf(said: Remark, leg: Leg, zone: string | undefined): string {
  const note = noteTextOf(said, leg, zone)
  return note === undefined ? '' : typeof note === 'string' ? note : sayText(note)
}

const TIMED = new Set<RemarkKind>(['departed', 'arrived', 'landed', 'next_info'])

function noteTextOf(said: Remark, leg: Leg, zone: string | undefined): Text | string | undefined {
  if (said.also) return { id: `remark.also.${said.also}` }
  if (said.place !== undefined) return { id: 'remark.place', values: { place: placeOf(leg.divert_airport ?? '', said.place) } }
  return TIMED.has(said.kind) ? timeOf(said.at, zone) : undefined
}

export function sameView(a: RowView, b: RowView): boolean {
  return (Object.keys(a) as (keyof RowView)[]).every((field) => a[field] === b[field])
}
