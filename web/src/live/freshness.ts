/**
 * How far a screen may be believed. One state machine for every page: the worse of the link (age of
 * the last frame) and the feeds (told by the server). Stale data must never look live.
 */
import type { StatusReport } from './clock'
import type { Movement } from './leg'

export type Freshness = 'live' | 'late' | 'stale' | 'down'
export type Cause = 'link' | 'feed'

/** Ages of the link in seconds, settings of the server. */
export interface Limits {
  late: number
  stale: number
  down: number
}

export const DEFAULT_LIMITS: Limits = { late: 15, stale: 60, down: 600 }

/** A status report and the monotonic time at which it arrived. */
export interface ReceivedStatus {
  report: StatusReport
  mono: number
}

export interface Evidence {
  /** Monotonic clock of this screen, ms. */
  now: number
  startedAt: number
  /** Last frame received while every channel of the page was in step; undefined before the first. */
  lastFrame: number | undefined
  status: ReceivedStatus | undefined
  limits: Limits
  movement: Movement
}

export interface Verdict {
  state: Freshness
  cause: Cause
  /** Monotonic time of the newest confirmation; undefined when there has been none. */
  confirmedAt: number | undefined
  ageMs: number
}

const ORDER: Freshness[] = ['live', 'late', 'stale', 'down']

export function worse(a: Freshness, b: Freshness): boolean {
  return ORDER.indexOf(a) > ORDER.indexOf(b)
}

/** Whether volatile claims (boarding calls, gates to go to) still may be shown. */
export function believable(state: Freshness): boolean {
  return state === 'live' || state === 'late'
}

export function linkState(ageMs: number, limits: Limits): Freshness {
  const age = ageMs / 1000
  if (age > limits.down) return 'down'
  if (age > limits.stale) return 'stale'
  return age > limits.late ? 'late' : 'live'
}

const NEVER = -1e15
const FEED_STATE = { fresh: 'live', late: 'late', dead: 'stale' } as const

interface FeedVerdict {
  state: Freshness
  confirmedAt?: number | undefined
}

/** The best of the feeds that answer for the board; none means nothing to wait for. */
export function feedState(status: ReceivedStatus | undefined, movement: Movement): FeedVerdict {
  const verdicts = (status?.report.feeds ?? [])
    .filter((feed) => feed.boards.includes(movement))
    .map((feed): FeedVerdict => ({
      state: FEED_STATE[feed.state],
      confirmedAt: status && feed.last_seen
        ? status.mono - Date.parse(status.report.wall) + Date.parse(feed.last_seen)
        : undefined,
    }))
  const [best] = verdicts.sort(
    (a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || (b.confirmedAt ?? NEVER) - (a.confirmedAt ?? NEVER),
  )
  return best ?? { state: 'live' }
}

export function assess(evidence: Evidence): Verdict {
  const { now, startedAt, lastFrame, limits } = evidence
  const linkAge = now - (lastFrame ?? startedAt)
  let link = linkState(linkAge, limits)
  if (lastFrame === undefined && link === 'live') link = 'late'
  const feed = feedState(evidence.status, evidence.movement)
  if (worse(feed.state, link)) {
    const confirmedAt = feed.confirmedAt
    return { state: feed.state, cause: 'feed', confirmedAt, ageMs: now - (confirmedAt ?? startedAt) }
  }
  return { state: link, cause: 'link', confirmedAt: lastFrame, ageMs: linkAge }
}
