/** What a traveller should know or do now, in one line: first rule that applies wins. */
import type { Tone } from '../../components/remarkTone'
import { TONES } from '../../components/remarkTone'
import { spanOf, timeOf } from '../../format'
import { type Freshness, believable } from '../../live/freshness'
import {
  type Instant, type Leg, MINUTE, gateMoved, isCancelled, minutesLate, msOf, reached, timesOf,
} from '../../live/leg'
import { DELAYED_FROM, type RemarkKind, remark } from '../../live/remarks'
import type { Text } from '../../text'

export interface Headline {
  kind: RemarkKind
  tone: Tone
  chip: Text
  title: Text
  lines: Text[]
}

/** A plan made before a delay says nothing any more. */
function planned(leg: Leg, plan: Instant | undefined): Instant | undefined {
  return (minutesLate(leg, 'departures') ?? 0) < DELAYED_FROM ? plan : undefined
}

export function boardingOf(leg: Leg): Instant | undefined {
  return leg.boarding_at ?? leg.boarding_est ?? planned(leg, leg.boarding_plan)
}

export function gateCloseOf(leg: Leg): Instant | undefined {
  return leg.gate_close_at ?? leg.gate_close_est ?? planned(leg, leg.gate_close_plan)
}

export function headline(leg: Leg, boardNow: number, state: Freshness): Headline {
  const said = remark({ leg, movement: 'departures', airport: leg.dep_airport }, boardNow, state)
  const { title, lines } = words(leg, boardNow, state)
  return { kind: said.kind, tone: TONES[said.kind], chip: chipOf(leg, said.kind), title, lines }
}

type Words = Pick<Headline, 'title' | 'lines'>

function chipOf(leg: Leg, kind: RemarkKind): Text {
  const late = minutesLate(leg, 'departures') ?? 0
  if (kind === 'delayed' && late >= DELAYED_FROM) return { id: 'chip.delayed', values: { span: spanOf(late) } }
  if (kind === 'none') return { id: 'chip.scheduled' }
  if (kind !== 'departed') return { id: `remark.${kind}` }
  if (reached(leg, 'bags_done')) return { id: 'remark.bags_delivered' }
  if (reached(leg, 'in_block')) return { id: 'remark.arrived' }
  if (reached(leg, 'landed')) return { id: 'remark.landed' }
  return { id: reached(leg, 'airborne') ? 'chip.in_air' : 'remark.departed' }
}

function words(leg: Leg, boardNow: number, state: Freshness): Words {
  return (
    irregularWords(leg) ??
    (reached(leg, 'off_block') ? goneWords(leg) : undefined) ??
    (leg.phase === 'gate_closed' ? { title: { id: 'head.gate_closed' }, lines: leavesLines(leg) } : undefined) ??
    (believable(state) ? callWords(leg, boardNow) : undefined) ??
    waitingWords(leg, boardNow, state)
  )
}

function airlineOf(leg: Leg): string {
  return leg.airline_name ?? leg.airline
}

function irregularWords(leg: Leg): Words | undefined {
  const ask: Text = { id: 'line.ask', values: { airline: airlineOf(leg) } }
  if (isCancelled(leg)) {
    return { title: { id: 'head.cancelled' }, lines: [{ id: 'line.cancelled', values: { airline: airlineOf(leg) } }] }
  }
  if (leg.irregularity === 'diverted') {
    const place = leg.divert_city ?? leg.divert_airport
    return { title: place ? { id: 'head.diverted', values: { place } } : { id: 'head.diverted.unknown' }, lines: [ask] }
  }
  if (leg.irregularity === 'returned_to_gate') return { title: { id: 'head.returned' }, lines: [ask] }
  if (leg.irregularity === 'air_return') return { title: { id: 'head.air_return' }, lines: [ask] }
  return undefined
}

function goneWords(leg: Leg): Words {
  const { best } = timesOf(leg, 'arrivals')
  const time = timeOf(best, leg.arr_tz)
  const left = leg.atd ?? leg.atot
  const lines: Text[] = left
    ? [{ id: 'line.departed_at', values: { city: leg.dep_city ?? leg.dep_airport, time: timeOf(left, leg.dep_tz) } }]
    : []
  if (leg.phase === 'bags_done') return { title: { id: 'head.bags_done' }, lines }
  if (reached(leg, 'landed')) {
    const belt = leg.belts?.join(', ')
    if (belt) return { title: { id: 'head.bags', values: { belt } }, lines }
    if (leg.ata) return { title: { id: 'head.arrived', values: { time: timeOf(leg.ata, leg.arr_tz) } }, lines }
    return {
      title: leg.aldt ? { id: 'head.landed', values: { time: timeOf(leg.aldt, leg.arr_tz) } } : { id: 'head.landed.untimed' },
      lines,
    }
  }
  return { title: time ? { id: 'head.lands', values: { time } } : { id: 'head.in_air' }, lines }
}

/** Calls that tell people to walk: only while somebody vouches for them. */
function callWords(leg: Leg, boardNow: number): Words | undefined {
  const gate = leg.dep_gate
  const closes = gateCloseOf(leg)
  const closing: Text[] = closes ? [{ id: 'line.closes_at', values: { time: timeOf(closes, leg.dep_tz) } }] : []
  if (gateMoved(leg, boardNow) && gate && leg.dep_gate_was) {
    return { title: { id: 'head.gate_changed', values: { gate, was: leg.dep_gate_was } }, lines: boardsLines(leg, boardNow) }
  }
  if (leg.phase === 'final_call') return { title: withGate('head.final_call', gate), lines: closing }
  if (leg.phase === 'boarding') return { title: withGate('head.boarding', gate), lines: closing }
  if (leg.phase === 'gate_open') return { title: withGate('head.gate_open', gate), lines: boardsLines(leg, boardNow) }
  return undefined
}

function withGate(id: 'head.final_call' | 'head.boarding' | 'head.gate_open', gate: string | undefined): Text {
  return gate ? { id, values: { gate } } : { id: `${id}.no_gate` }
}

function boardsLines(leg: Leg, boardNow: number): Text[] {
  const boarding = boardingOf(leg)
  return boarding && Date.parse(boarding) > boardNow
    ? [{ id: 'line.boards_at', values: { time: timeOf(boarding, leg.dep_tz) } }]
    : leavesLines(leg)
}

function leavesLines(leg: Leg): Text[] {
  const leaves = timeOf(timesOf(leg, 'departures').best, leg.dep_tz)
  const lands = timeOf(timesOf(leg, 'arrivals').best, leg.arr_tz)
  const late = (minutesLate(leg, 'departures') ?? 0) >= DELAYED_FROM
  if (!leaves) return []
  return lands
    ? [{ id: late ? 'line.now_leaves_lands' : 'line.leaves_lands', values: { leaves, lands } }]
    : [{ id: late ? 'line.now_leaves' : 'line.leaves', values: { leaves } }]
}

function waitingWords(leg: Leg, boardNow: number, state: Freshness): Words {
  const gate = leg.dep_gate
  const boarding = boardingOf(leg)
  const boardingAt = msOf(boarding)
  const said = remark({ leg, movement: 'departures', airport: leg.dep_airport }, boardNow, state)
  if (believable(state) && gate && boardingAt !== undefined && boardingAt > boardNow) {
    const span = spanOf(Math.max(1, Math.round((boardingAt - boardNow) / MINUTE)))
    return {
      title: { id: 'head.be_at', values: { gate, time: timeOf(boarding, leg.dep_tz) } },
      lines: [{ id: 'line.boarding_in', values: { span } }, ...leavesLines(leg)],
    }
  }
  const time = timeOf(timesOf(leg, 'departures').best, leg.dep_tz)
  const lines: Text[] = [
    ...(said.kind === 'next_info' && said.at
      ? [{ id: 'line.next_info', values: { time: timeOf(said.at, leg.dep_tz) } } as const]
      : []),
    believable(state)
      ? gate ? { id: 'line.from_gate', values: { gate } } : { id: 'line.no_gate' }
      : { id: 'line.check_gate' },
  ]
  if (said.kind === 'delayed' && (minutesLate(leg, 'departures') ?? 0) < DELAYED_FROM) {
    return { title: { id: 'head.overdue' }, lines }
  }
  return { title: time ? { id: 'head.leaves', values: { time } } : { id: 'head.none' }, lines }
}
