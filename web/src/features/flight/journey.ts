/** The steps of the journey that the data knows, each with its newest and its planned time. */
import { type Instant, type Leg, reached, timesOf } from '../../live/leg'
import type { TextId } from '../../text'
import { boardingOf, gateCloseOf } from './headline'

export interface Step {
  id: Extract<TextId, `journey.${string}`>
  at: Instant
  was: Instant | undefined
  state: 'done' | 'next' | 'todo'
  /** The step happens at the other end, in its time zone. */
  away: boolean
}

interface Draft {
  id: Step['id']
  at: Instant | undefined
  plan: Instant | undefined
  done: boolean
  away?: boolean
}

export function journey(leg: Leg, boardNow: number): Step[] {
  const leaving = timesOf(leg, 'departures')
  const landing = timesOf(leg, 'arrivals')
  const checkIn = leg.check_in_open_at
  const drafts: Draft[] = [
    {
      id: 'journey.check_in', at: checkIn, plan: checkIn,
      done: reached(leg, 'check_in') || (checkIn !== undefined && Date.parse(checkIn) <= boardNow),
    },
    { id: 'journey.boarding', at: boardingOf(leg), plan: leg.boarding_plan, done: reached(leg, 'boarding') },
    { id: 'journey.gate_closes', at: gateCloseOf(leg), plan: leg.gate_close_plan, done: reached(leg, 'gate_closed') },
    { id: 'journey.departure', at: leaving.best, plan: leaving.due, done: reached(leg, 'off_block') },
    { id: 'journey.arrival', at: landing.best, plan: landing.due, done: reached(leg, 'landed'), away: true },
  ]
  let nextTaken = false
  return drafts.flatMap(({ id, at, plan, done, away = false }) => {
    if (at === undefined) return []
    const state = done ? 'done' : nextTaken ? 'todo' : 'next'
    if (state === 'next') nextTaken = true
    return [{ id, at, was: plan !== at ? plan : undefined, state, away }]
  })
}
