/** The public state of a flight leg, as `public_state` in schema.sql builds it. Null members are left out. */

export const PHASES = [
  'scheduled', 'check_in', 'gate_open', 'boarding', 'final_call', 'gate_closed', 'off_block',
  'airborne', 'approaching', 'landed', 'in_block', 'bags_done',
] as const
export type Phase = (typeof PHASES)[number]

export type Irregularity =
  | 'none' | 'cancelled' | 'diverted' | 'returned_to_gate' | 'air_return' | 'not_operating'

export type Movement = 'departures' | 'arrivals'

export interface CodeShare {
  airline: string
  number: number
  suffix?: string
}

/** An instant as the server writes it: `2013-03-08T22:36:00Z`. */
export type Instant = string

export interface Leg {
  key: string
  version: number
  airline: string
  flight_no: number
  suffix?: string
  origin_date: string
  airline_name?: string
  codeshares?: CodeShare[]
  service_type?: string
  dep_airport: string
  arr_airport: string
  dep_city?: string
  dep_tz?: string
  arr_city?: string
  arr_tz?: string
  std?: Instant
  etd?: Instant
  atd?: Instant
  atot?: Instant
  sta?: Instant
  eta?: Instant
  eldt?: Instant
  aldt?: Instant
  ata?: Instant
  phase: Phase
  irregularity: Irregularity
  divert_airport?: string
  divert_city?: string
  cancelled_at?: Instant
  next_info_at?: Instant
  public_remark?: string
  aircraft_type?: string
  uncertain?: boolean
  hidden?: boolean
  dep_terminal?: string
  dep_gate?: string
  dep_gate_was?: string
  dep_gate_at?: Instant
  check_in_from?: string
  check_in_to?: string
  check_in_open_at?: Instant
  check_in_close_at?: Instant
  gate_open_at?: Instant
  boarding_plan?: Instant
  boarding_est?: Instant
  boarding_at?: Instant
  gate_close_plan?: Instant
  gate_close_est?: Instant
  final_call_at?: Instant
  gate_close_at?: Instant
  arr_terminal?: string
  arr_gate?: string
  arr_gate_was?: string
  arr_gate_at?: Instant
  belts?: string[]
  belts_was?: string[]
  belts_at?: Instant
  first_bag_at?: Instant
  last_bag_at?: Instant
}

/** What differs between two committed states of a leg. */
export interface Change {
  version: number
  kinds: string[]
  fields: Record<string, [unknown, unknown]>
  at: Instant
}

export const MINUTE = 60_000

export function msOf(instant: Instant | undefined): number | undefined {
  return instant === undefined ? undefined : Date.parse(instant)
}

export function isCancelled(leg: Leg): boolean {
  return leg.irregularity === 'cancelled' || leg.irregularity === 'not_operating'
}

/** An air return has reached nothing: it has yet to leave, and what it landed at is where it came from. */
export function reached(leg: Leg, phase: Phase): boolean {
  return leg.irregularity !== 'air_return' && PHASES.indexOf(leg.phase) >= PHASES.indexOf(phase)
}

/** When the leg is due at this end, and the newest word about it. One that came back has yet to leave. */
export function timesOf(leg: Leg, movement: Movement): { due?: Instant; best?: Instant } {
  const back = leg.irregularity.includes('return') && !reached(leg, 'off_block')
  const [due, best] =
    movement === 'departures'
      ? [leg.std, (back ? undefined : leg.atd ?? leg.atot) ?? leg.etd ?? leg.std]
      : [leg.sta, (back ? undefined : leg.ata ?? leg.aldt) ?? leg.eta ?? leg.eldt ?? leg.sta]
  return { ...(due && { due }), ...(best && { best }) }
}

/** Whole minutes after (or, negative, before) the planned time; undefined when one of them is unknown. */
export function minutesLate(leg: Leg, movement: Movement): number | undefined {
  const { due, best } = timesOf(leg, movement)
  const [planned, expected] = [msOf(due), msOf(best)]
  return planned === undefined || expected === undefined
    ? undefined
    : Math.round((expected - planned) / MINUTE)
}

const GATE_CHANGE_SHOWN = 20 * MINUTE

/** Whether the departure gate moved so lately that people may still walk to the old one. */
export function gateMoved(leg: Leg, boardNow: number): boolean {
  const at = msOf(leg.dep_gate_at)
  return (
    leg.dep_gate !== undefined &&
    leg.dep_gate_was !== undefined &&
    leg.dep_gate !== leg.dep_gate_was &&
    at !== undefined &&
    boardNow - at < GATE_CHANGE_SHOWN
  )
}

/** Every number that the leg flies under, the operating one first. */
export function numbersOf(leg: Leg): { airline: string; number: string }[] {
  const shared = (leg.codeshares ?? []).map((one) => ({ airline: one.airline, number: `${one.number}${one.suffix ?? ''}` }))
  return [{ airline: leg.airline, number: flightNumber(leg) }, ...shared]
}

/** Whether a place to go to changed so lately that people may still walk to the old one. */
export function changedLately(at: Instant | undefined, boardNow: number): boolean {
  return boardNow - (msOf(at) ?? -Infinity) < GATE_CHANGE_SHOWN
}

export function flightNumber(leg: Leg): string {
  return `${leg.flight_no}${leg.suffix ?? ''}`
}
