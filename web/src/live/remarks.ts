/** The remark of a row: one pure function of (row, board time, freshness). First rule that applies wins. */
import { type Freshness, believable } from './freshness'
import {
  type Instant, type Leg, MINUTE, type Movement, gateMoved, isCancelled, minutesLate, msOf, reached, timesOf,
} from './leg'

export const REMARK_KINDS = [
  'cancelled', 'diverted', 'diverted_to', 'returned', 'bags_delivered', 'arrived', 'landed', 'departed',
  'expected', 'gate_closed', 'final_call', 'boarding', 'go_to_gate', 'gate_changed', 'next_info',
  'delayed', 'early', 'check_in', 'on_time', 'check_gate', 'none',
] as const
export type RemarkKind = (typeof REMARK_KINDS)[number]

/** A row of the board of one airport. */
export interface BoardRow {
  leg: Leg
  movement: Movement
  airport: string
}

export interface Remark {
  kind: RemarkKind
  at?: Instant
  place?: string
  /** A second, smaller fact beside the remark. */
  also?: 'delayed' | 'airline_desk'
}

export const DELAYED_FROM = 15
const EARLY_FROM = -10
const ON_TIME_WITHIN = 180 * MINUTE
/** Evidence of a departure may be this late before its absence is told as a delay. */
const OVERDUE_AFTER = 2 * MINUTE

export function remark(row: BoardRow, boardNow: number, feedState: Freshness): Remark {
  return (
    irregular(row) ??
    (row.movement === 'departures'
      ? departing(row.leg, boardNow, feedState)
      : arriving(row.leg)) ??
    estimated(row, boardNow, feedState)
  )
}

function kind(value: RemarkKind, at?: Instant, place?: string): Remark {
  return { kind: value, ...(at && { at }), ...(place && { place }) }
}

function irregular({ leg, movement, airport }: BoardRow): Remark | undefined {
  const place = leg.divert_city ?? leg.divert_airport
  switch (leg.irregularity) {
    case 'cancelled':
    case 'not_operating':
      return { kind: 'cancelled', also: 'airline_desk' }
    case 'diverted':
      if (movement === 'departures') return kind('diverted', undefined, place)
      return leg.divert_airport === airport ? undefined : kind('diverted_to', undefined, place)
    case 'returned_to_gate':
    case 'air_return':
      return kind(movement === 'departures' ? 'returned' : 'none')
    case 'none':
      return undefined
  }
}

function departing(leg: Leg, boardNow: number, feedState: Freshness): Remark | undefined {
  if (reached(leg, 'off_block')) return kind('departed', leg.atd ?? leg.atot)
  if (leg.phase === 'gate_closed') return kind('gate_closed')
  const calls = { final_call: 'final_call', boarding: 'boarding', gate_open: 'go_to_gate' } as const
  if (leg.phase in calls) {
    return kind(believable(feedState) ? calls[leg.phase as keyof typeof calls] : 'check_gate')
  }
  if (believable(feedState) && gateMoved(leg, boardNow)) {
    const late = (minutesLate(leg, 'departures') ?? 0) >= DELAYED_FROM
    return { kind: 'gate_changed', ...(late && { also: 'delayed' as const }) }
  }
  return undefined
}

function arriving(leg: Leg): Remark | undefined {
  if (leg.phase === 'bags_done') return kind('bags_delivered')
  if (leg.phase === 'in_block') return kind('arrived', leg.ata)
  if (leg.phase === 'landed') return kind('landed', leg.aldt)
  if (reached(leg, 'off_block')) return kind('expected', timesOf(leg, 'arrivals').best)
  return undefined
}

function estimated({ leg, movement }: BoardRow, boardNow: number, feedState: Freshness): Remark {
  const fresh = believable(feedState)
  const { best } = timesOf(leg, movement)
  const late = minutesLate(leg, movement) ?? 0
  const nextInfo = msOf(leg.next_info_at)
  if (nextInfo !== undefined && nextInfo > boardNow) return kind('next_info', leg.next_info_at)
  if (late >= DELAYED_FROM) return kind('delayed', best)
  // Time alone may not say "delayed" once nobody tells us of departures any more.
  if (fresh && boardNow > (msOf(best) ?? Infinity) + OVERDUE_AFTER) return kind('delayed')
  if (late <= EARLY_FROM) return kind(movement === 'departures' ? 'early' : 'expected', best)
  if (late > 0) return kind('expected', best)
  if (!fresh) return kind('none')
  if (movement === 'departures' && checkInOpen(leg, boardNow)) return kind('check_in')
  const soon = movement === 'arrivals' || (msOf(best) ?? Infinity) - boardNow <= ON_TIME_WITHIN
  return kind(soon && best !== undefined && leg.uncertain !== true ? 'on_time' : 'none')
}

function checkInOpen(leg: Leg, boardNow: number): boolean {
  const [open, close] = [msOf(leg.check_in_open_at), msOf(leg.check_in_close_at)]
  if (close !== undefined && close <= boardNow) return false
  return leg.phase === 'check_in' || (open !== undefined && close !== undefined && open <= boardNow)
}

/** The gate tile: plain when the gate is known, filled when it is time to go, ringed when it just moved. */
export interface GateLook {
  filled: boolean
  ringed: boolean
  was?: string
  quiet: boolean
}

const GO = new Set<RemarkKind>(['go_to_gate', 'boarding', 'final_call', 'gate_changed'])

export function gateLook(row: BoardRow, boardNow: number, feedState: Freshness): GateLook {
  const { leg } = row
  const quiet = reached(leg, row.movement === 'departures' ? 'off_block' : 'bags_done') || isCancelled(leg)
  const moved = !quiet && row.movement === 'departures' && gateMoved(leg, boardNow)
  return {
    filled: believable(feedState) && GO.has(remark(row, boardNow, feedState).kind),
    ringed: believable(feedState) && moved,
    ...(moved && leg.dep_gate_was !== undefined && { was: leg.dep_gate_was }),
    quiet,
  }
}
