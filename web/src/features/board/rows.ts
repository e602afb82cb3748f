/** Which rows a board shows, in which order, on which page: pure, and the same on every screen. */
import type { Leg, Movement } from '../../live/leg'

export const DWELL_MS = 12_000
export const MOST_ROWS = 14
/** A traveller waits for their page: three of them, then the next movements come up by themselves. */
export const MOST_PAGES = 3

function placeOf(leg: Leg, movement: Movement): string {
  return movement === 'departures' ? (leg.arr_city ?? leg.arr_airport) : (leg.dep_city ?? leg.dep_airport)
}

function dueOf(leg: Leg, movement: Movement): string {
  return (movement === 'departures' ? leg.std : leg.sta) ?? ''
}

function compare(a: string | number, b: string | number): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Planned time, then city; airline, number and key make the order total. */
export function ordered(legs: Iterable<Leg>, movement: Movement): Leg[] {
  return [...legs].sort(
    (a, b) =>
      compare(dueOf(a, movement), dueOf(b, movement)) ||
      compare(placeOf(a, movement), placeOf(b, movement)) ||
      compare(a.airline, b.airline) ||
      compare(a.flight_no, b.flight_no) ||
      compare(a.key, b.key),
  )
}

/** Number of the dwell in which the server's wall clock stands: the same for all screens. */
export function slotAt(wall: number): number {
  return Math.floor(wall / DWELL_MS)
}

export function pageCount(rows: number, perPage: number): number {
  return Math.min(MOST_PAGES, Math.max(1, Math.ceil(rows / perPage)))
}

export function pageAt(slot: number, pages: number): number {
  return slot % pages
}

export interface Screen {
  /** Units of width/1920 left for rows. */
  width: number
  height: number
}

const FIXED_UNITS = 128 + 118 + 44
const ROW_UNITS = 56

/** Rows that fit without making them lower than at 1920 x 1080. */
export function rowsThatFit({ width, height }: Screen): number {
  const units = (height / width) * 1920 - FIXED_UNITS
  return Math.min(MOST_ROWS, Math.max(1, Math.floor(units / ROW_UNITS)))
}
